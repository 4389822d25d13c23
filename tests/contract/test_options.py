"""Options of djtasks on Django's tasks: in the decorator, below it, and in the settings."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from django.core.checks import run_checks

from djtasks import Task
from djtasks.backend import DjangoTask, task_options
from djtasks.backend.declaring import UNSAID
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks import registry
from tests.contract import samples
from tests.contract.django import TAKES_OPTIONS, InvalidTask, task, task_backends

in_the_decorator = pytest.mark.skipif(not TAKES_OPTIONS, reason="Django 6.0's decorator takes no options")


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    yield
    registry.forget(f"{__name__}.body")
    for name in vars(body).keys() & {"djtasks_options"}:
        delattr(body, name)


def body(x: int = 1) -> int:
    return x


def registered() -> Task:
    return registry.get(f"{__name__}.body")


@in_the_decorator
def test_decorator_takes_our_options() -> None:
    made = task(max_retries=7, acks_late=True, autoretry_for=(OSError,), headers={"a": 1})(body)
    assert isinstance(made, DjangoTask)
    assert (registered().max_retries, registered().acks_late, registered().autoretry_for) == (7, True, (OSError,))
    assert made.using(priority=5).max_retries == 7
    assert hash(made) == hash(made.using())


def test_options_stand_below_the_decorator() -> None:
    task(task_options(max_retries=7)(body))
    assert registered().max_retries == 7


def test_options_of_the_settings_are_for_all_tasks(settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"max_retries": 5, "time_limit": 60}}}
    task(task_options(max_retries=7)(body))
    assert (registered().max_retries, registered().time_limit) == (7, 60)


@in_the_decorator
def test_decorator_comes_first() -> None:
    task(max_retries=1)(task_options(max_retries=7)(body))
    assert registered().max_retries == 1


def test_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="did you mean 'max_retries'"):
        task_options(max_retires=7)
    with pytest.raises(TypeError, match="max_retires"):
        task(max_retires=7)(body)


@pytest.mark.parametrize(
    ("option", "words"), [("queue", "queue_name"), ("priority", "Django's own"), ("pydantic", "@shared_task")]
)
def test_options_that_are_not_for_djangos_tasks_say_what_is(option: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        task_options(**{option: 1})


def test_option_that_cannot_work_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="max_retries"):
        task(task_options(max_retries=-1)(body))


def test_options_above_the_decorator_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="stands below @task"):
        task_options(max_retries=1)(samples.add)


def test_context_has_to_be_taken() -> None:
    with pytest.raises(InvalidTask, match="context"):
        task(takes_context=True)(body)


def test_unsaid_options_survive_copies() -> None:
    assert pickle.loads(pickle.dumps(UNSAID)) is UNSAID  # noqa: S301
    assert samples.add.using() == samples.add


# Checks


def found(settings: Any, **entry: Any) -> dict[str, str]:
    settings.TASKS = {"default": {**settings.TASKS["default"], **entry}}
    messages = task_backends["default"].check()
    everything = run_checks()
    assert all(message in everything for message in messages)
    return {message.id: message.msg for message in messages}


def test_right_settings_are_right(settings: Any) -> None:
    assert found(settings, QUEUES=["default", "mail"], OPTIONS={"max_retries": 3}) == {}


def test_unknown_option_of_the_settings_is_found(settings: Any) -> None:
    messages = found(settings, OPTIONS={"max_retires": 3, "queue": "mail"})
    assert set(messages) == {"djtasks.E015"}


def test_option_of_another_backend_is_no_error(settings: Any) -> None:
    assert set(found(settings, OPTIONS={"id_function": "uuid.uuid4"})) == {"djtasks.W014"}


def test_queue_that_cannot_be_is_found(settings: Any) -> None:
    messages = found(settings, QUEUES=["my queue"])
    assert "no name for a queue" in messages["djtasks.E013"]


def test_queue_that_our_settings_lack_is_found(settings: Any) -> None:
    settings.DJTASKS = {"TASK_QUEUES": ["default"], "TASK_CREATE_MISSING_QUEUES": False}
    messages = found(settings, QUEUES=["default", "mial"])
    assert "'mial'" in messages["djtasks.E013"]


def test_app_that_is_not_installed_is_found(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app not in ("djtasks", "tests")]
    assert [message.id for message in task_backends["default"].check()] == ["djtasks.E014"]
