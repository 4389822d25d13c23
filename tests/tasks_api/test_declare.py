"""A task is made of any callable, has a unique name, and says at once what is wrong with its options."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import djtasks
from djtasks import Task, shared_task
from djtasks.exceptions import ImproperlyConfigured

ROOT = Path(__file__).parents[2]


class Adder:
    """Adds."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, *given: Any) -> Any:
        return (self.n, *given)

    def method(self, *given: Any) -> Any:
        return (self.n, *given)

    @classmethod
    def of_class(cls, *given: Any) -> Any:
        return (cls.__name__, *given)


def plain(*given: Any) -> Any:
    """Does nothing."""
    return given


CALLABLES: list[tuple[Callable[..., Any], str, tuple[Any, ...]]] = [
    (plain, "plain", ()),
    (lambda *given: given, "<lambda>", ()),
    (partial(plain, 1), "plain", (1,)),
    (partial(partial(plain, 1), 2), "plain", (1, 2)),
    (Adder(3), "Adder", (3,)),
    (Adder(3).method, "Adder.method", (3,)),
    (Adder.of_class, "Adder.of_class", ("Adder",)),
]


@pytest.mark.parametrize(("function", "name", "first"), CALLABLES)
def test_any_callable_makes_a_task(function: Callable[..., Any], name: str, first: tuple[Any, ...]) -> None:
    task = shared_task(function)
    assert task.name == f"{__name__}.{name}"
    assert task("x") == (*first, "x")


@pytest.mark.parametrize(("function", "name", "first"), CALLABLES)
def test_any_callable_can_be_bound(function: Callable[..., Any], name: str, first: tuple[Any, ...]) -> None:
    task = shared_task(bind=True)(function)
    assert task("x") == (*first, task, "x")
    task.check_arguments(("x",), {})


@pytest.mark.parametrize(
    ("function", "name"), [(len, "builtins.len"), (str.upper, "builtins.str.upper"), (max, "builtins.max")]
)
def test_callables_written_in_c_make_tasks(function: Callable[..., Any], name: str) -> None:
    task = shared_task(function)
    task.check_arguments(("abc",), {})
    assert task.name == name
    assert task("abc") == function("abc")


def test_task_resembles_its_function() -> None:
    task = shared_task(plain)
    assert (task.__name__, task.__doc__, task.__module__) == ("plain", "Does nothing.", __name__)  # type: ignore[attr-defined]
    assert task.__wrapped__ is plain
    assert repr(task) == f"<@task: {__name__}.plain>"


def test_name_of_a_function_in_a_function_has_its_path() -> None:
    @shared_task
    def inner() -> None: ...

    assert inner.name == f"{__name__}.test_name_of_a_function_in_a_function_has_its_path.inner"


def test_given_name_is_used_as_it_is() -> None:
    assert shared_task(name="mail: send it now!")(plain).name == "mail: send it now!"


def test_task_is_another_word_for_shared_task() -> None:
    assert djtasks.task is djtasks.shared_task


SCRIPT = """
import django
django.setup()
from djtasks import shared_task

@shared_task
def add(x, y): return x + y

class Sums:
    @staticmethod
    def of(*numbers): return sum(numbers)

if __name__ == "__main__":
    print(add.name, shared_task(Sums.of).name)
    import pack.script
    print(pack.script.add.name, pack.script.add is not add)
"""


@pytest.mark.parametrize("arguments", [["pack/script.py"], ["-m", "pack.script"]], ids=["script", "-m"])
def test_name_in_main_is_the_one_that_workers_import(tmp_path: Path, arguments: list[str]) -> None:
    """Mission, 2."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "script.py").write_text(SCRIPT)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    run = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.split() == ["pack.script.add", "pack.script.Sums.of", "pack.script.add", "True"], run.stderr


# Options


def test_defaults_are_those_of_celery() -> None:
    """TASK-1."""
    task = shared_task(plain)
    expected = {
        "max_retries": 3,
        "default_retry_delay": 180,
        "autoretry_for": (),
        "retry_backoff": False,
        "retry_backoff_max": 600,
        "retry_jitter": True,
        "ignore_result": False,
        "store_errors_even_if_ignored": False,
        "acks_late": False,
        "acks_on_failure": True,
        "track_started": False,
        "trail": True,
        "throws": (),
        "typing": True,
        "expires": None,
        "headers": None,
        "queue": "default",
        "priority": 0,
        # Celery's is False; here late acknowledgement means that a task may run again.
        "reject_on_worker_lost": True,
        "max_deliveries": 3,
        "schedulable": True,
    }
    assert {name: getattr(task, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("setting", "option", "value"),
    [
        ("TASK_DEFAULT_QUEUE", "queue", "slow"),
        ("TASK_DEFAULT_PRIORITY", "priority", 7),
        ("TASK_MAX_RETRIES", "max_retries", None),
        ("TASK_DEFAULT_RETRY_DELAY", "default_retry_delay", 1),
        ("TASK_IGNORE_RESULT", "ignore_result", True),
        ("TASK_STORE_ERRORS_EVEN_IF_IGNORED", "store_errors_even_if_ignored", True),
        ("TASK_ACKS_LATE", "acks_late", True),
        ("TASK_ACKS_ON_FAILURE", "acks_on_failure", False),
        ("TASK_REJECT_ON_WORKER_LOST", "reject_on_worker_lost", False),
        ("TASK_TRACK_STARTED", "track_started", True),
        ("MAX_DELIVERIES", "max_deliveries", 9),
        ("TASK_SCHEDULABLE", "schedulable", False),
    ],
)
def test_settings_say_what_the_task_leaves_out(settings: Any, setting: str, option: str, value: Any) -> None:
    """CALL-5."""
    task = shared_task(plain)
    settings.DJTASKS = {setting: value}
    assert getattr(task, option) == value


def test_option_goes_before_base_class_and_base_class_before_settings() -> None:
    class Slow(Task):
        queue = "slow"
        priority = 5

    task = shared_task(plain, base=Slow, priority=6)
    assert isinstance(task, Slow)
    assert (task.queue, task.priority, task.max_retries) == ("slow", 6, 3)


def test_no_limit_of_retries_can_be_declared() -> None:
    """RETRY-4."""
    assert shared_task(plain, max_retries=None).max_retries is None


@pytest.mark.parametrize("option", ["queue", "priority", "acks_late", "typing"])
def test_none_leaves_an_option_out(option: str) -> None:
    assert getattr(shared_task(plain, **{option: None}), option) == getattr(Task, option)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"quue": "slow"}, "did you mean 'queue'"),
        ({"max_retrys": 1}, "did you mean 'max_retries'"),
        ({"serializer": "json"}, "leave it out"),
        ({"backend": None}, "results are rows"),
        ({"app": None}, "there is no app object"),
        ({"send_events": True}, "the admin reads the rows"),
        ({"acks_on_failure_or_timeout": False}, "acks_on_failure="),
        ({"queue": "two words"}, "no name for a queue"),
        ({"queue": 7}, "no name for a queue"),
        ({"priority": 101}, "between -100 and 100"),
        ({"priority": "high"}, "a priority is an int"),
        ({"autoretry_for": OSError}, "a tuple of exception classes"),
        ({"autoretry_for": ("OSError",)}, "a tuple of exception classes"),
        ({"dont_autoretry_for": [7]}, "a tuple of exception classes"),
        ({"throws": OSError}, "a tuple of exception classes"),
        ({"max_retries": -1}, "a number from 0"),
        ({"max_retries": True}, "a number from 0"),
        ({"max_deliveries": 0}, "a number from 1"),
        ({"default_retry_delay": "soon"}, "a number from 0"),
        ({"retry_backoff_max": -1}, "a number from 0"),
        ({"retry_backoff": "fast"}, "retry_backoff is"),
        ({"retry_kwargs": {"max_retry": 3}}, "did you mean 'max_retries'"),
        ({"retry_kwargs": ["max_retries"]}, "retry_kwargs is a dict"),
        ({"expires": "5m"}, "expires is a number of seconds"),
        ({"headers": ["trace"]}, "headers is a dict"),
        ({"headers": {7: "trace"}}, "headers is a dict with str keys"),
        ({"acks_late": "yes"}, "acks_late is True or False"),
        ({"ignore_result": 1}, "ignore_result is True or False"),
        ({"name": " padded "}, "no name for a task"),
        ({"name": ""}, "no name for a task"),
        ({"name": "x" * 256}, "no name for a task"),
        ({"base": object}, "not a subclass of djtasks.Task"),
        ({"base": "Task"}, "not a subclass of djtasks.Task"),
    ],
)
def test_option_that_cannot_work_is_refused(option: dict[str, Any], said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        shared_task(plain, **option)


def test_base_class_with_an_option_that_cannot_work_is_refused() -> None:
    class Wrong(Task):
        priority = 1000

    with pytest.raises(ImproperlyConfigured, match="between -100 and 100"):
        shared_task(plain, base=Wrong)


@pytest.mark.parametrize("thing", ["name.of.task", 7, {"queue": "slow"}])
def test_what_cannot_be_called_makes_no_task(thing: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="made of a callable"):
        shared_task(thing)


@pytest.mark.parametrize("expires", [5, 0.5, timedelta(hours=1), None])
def test_durations_may_expire_a_task(expires: Any) -> None:
    assert shared_task(plain, expires=expires).expires == expires
