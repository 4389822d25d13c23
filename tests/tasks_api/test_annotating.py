"""``TASK_ANNOTATIONS``: what the settings lay over the tasks (TASK-7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from djtasks import Task, shared_task
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks import checking

heard: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    heard.clear()


def on_failure(self: Task, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: str) -> None:
    heard.append((self.name, str(exc)))


def loudly(method: Callable[..., Any]) -> Callable[..., Any]:
    def louder(self: Task, *args: Any, **kwargs: Any) -> Any:
        heard.append(("around", args))
        return method(self, *args, **kwargs)

    return louder


def body(x: int = 0) -> int:
    return 1 // x


def test_options_are_laid_over_the_named_task(settings: Any) -> None:
    """TASK-7."""
    settings.DJTASKS = {"TASK_ANNOTATIONS": {"one": {"rate_limit": "10/s", "queue": "slow", "throws": [ValueError]}}}
    one, other = shared_task(body, name="one", queue="own"), shared_task(body, name="other")
    assert (one.rate_limit, one.queue, one.throws) == ("10/s", "slow", (ValueError,))
    assert (other.rate_limit, other.queue, other.throws) == (None, "default", ())
    assert one.says("queue") and not other.says("queue")


@pytest.mark.parametrize(
    "annotations",
    [
        {"*": {"rate_limit": "1/m", "max_retries": 9}, "one": {"rate_limit": "10/s"}},
        {"one": {"rate_limit": "10/s"}, "*": {"rate_limit": "1/m", "max_retries": 9}},
        [{"one": {"rate_limit": "10/s"}}, {"*": {"rate_limit": "1/m"}}, {"*": {"max_retries": 9}}],
        ({"one": {"rate_limit": "1/h"}}, {"one": {"rate_limit": "10/s"}, "*": {"rate_limit": "1/m", "max_retries": 9}}),
    ],
)
def test_what_is_said_of_one_goes_before_what_is_said_of_all(annotations: Any, settings: Any) -> None:
    """TASK-7."""
    settings.DJTASKS = {"TASK_ANNOTATIONS": annotations}
    one, other = shared_task(body, name="one"), shared_task(body, name="other")
    assert (one.rate_limit, one.max_retries) == ("10/s", 9)
    assert (other.rate_limit, other.max_retries) == ("1/m", 9)


def test_registered_tasks_change_with_the_settings_and_back() -> None:
    """TASK-7."""

    class Base(Task):
        priority = 3

        def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
            heard.append("own")

    task = shared_task(body, name="one", queue="own", base=Base)
    hooks = {"on_success": lambda self, *facts: heard.append("laid over")}
    said = {"queue": "laid", "priority": 9, "time_limit": None, **hooks}
    with override_settings(DJTASKS={"TASK_ANNOTATIONS": {"one": said}}):
        assert (task.queue, task.priority, task.time_limit) == ("laid", 9, None)
        task.apply((1,))
        with override_settings(DJTASKS={"TASK_ANNOTATIONS": {"*": {"priority": 8}}}):
            assert (task.queue, task.priority, task.time_limit) == ("own", 8, 86_400)
        assert (task.queue, task.priority) == ("laid", 9)
    assert (task.queue, task.priority, task.time_limit) == ("own", 3, 86_400)
    task.apply((1,))
    assert heard == ["laid over", "own"]


def test_hooks_are_laid_over_all_tasks(settings: Any) -> None:
    """TASK-7."""
    settings.DJTASKS = {"TASK_ANNOTATIONS": {"*": {"on_failure": on_failure}}}
    task = shared_task(body, name="one")
    assert task.has_hooks_after()
    task.apply((0,))
    assert heard == [("one", "integer division or modulo by zero")]


@pytest.mark.parametrize("method", ["__call__", "before_start"])
def test_method_is_wrapped_where_its_name_begins_with_at(method: str, settings: Any) -> None:
    """TASK-7."""
    settings.DJTASKS = {"TASK_ANNOTATIONS": {"one": {f"@{method}": loudly}}}
    task = shared_task(body, name="one")
    assert task.apply((1,)).get() == 1
    assert [word for word, _ in heard] == ["around"]


def test_none_leaves_an_option_as_it_is_unless_it_means_something(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ANNOTATIONS": {"*": {"queue": None, "time_limit": None, "max_retries": None}}}
    task = shared_task(body, name="one", queue="own", time_limit=5)
    assert (task.queue, task.time_limit, task.max_retries) == ("own", None, None)


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        (7, "a dict by the names of tasks"),
        ([7], "a dict by the names of tasks"),
        ({"one": 7}, "what is said of 'one' is a dict of options and hooks"),
        ({7: {}}, "what is said of 7 is a dict"),
        (
            {"one": {"rate_limt": "1/s"}},
            "the annotation of 'one' takes no option 'rate_limt'; did you mean 'rate_limit'",
        ),
        ({"*": {"serializer": "json"}}, r"the annotation of '\*' takes no option 'serializer': .*leave it out"),
        ({"one": {"rate_limit": "often"}}, "is no rate limit"),
        ({"one": {"on_failure": "log"}}, "on_failure is a function"),
        ({"one": {"@on_failure": "log"}}, "@on_failure is a function"),
        ({"one": {"@queue": print}}, "@queue wraps no method"),
        ({"one": {"aliases": ["x"]}}, "takes no option 'aliases'"),
        ({"one": {"name": "x"}}, "takes no option 'name'"),
    ],
)
def test_wrong_annotations_are_refused_with_the_fix(annotations: Any, said: str, settings: Any) -> None:
    """TASK-7."""
    settings.DJTASKS = {"TASK_ANNOTATIONS": annotations}
    with pytest.raises(ImproperlyConfigured, match=rf"DJTASKS\['TASK_ANNOTATIONS'\] = .*{said}"):
        shared_task(body, name="one")


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"soft_time_limit": 9}, "task 'one': soft_time_limit=9 is above time_limit=8"),
        ({"sensitive": ["z"]}, "task 'one': sensitive names 'z', which the body does not take"),
        ({"retry_kwargs": {"cuntdown": 1}}, "did you mean 'countdown'"),
    ],
)
def test_annotation_that_does_not_fit_its_task_is_refused(said: Any, complaint: str, settings: Any) -> None:
    """TASK-7."""
    settings.DJTASKS = {"TASK_ANNOTATIONS": {"one": said}}
    with pytest.raises(ImproperlyConfigured, match=complaint):
        shared_task(body, name="one", time_limit=8)


def test_arguments_can_be_made_sensitive(settings: Any) -> None:
    """TASK-7."""
    task = shared_task(body, name="one", sensitive=False)
    settings.DJTASKS = {"TASK_ANNOTATIONS": {"one": {"sensitive": ["x"]}}}
    assert task.sensitive == ("x",)
    settings.DJTASKS = {}
    assert task.sensitive is False


def test_annotation_of_a_task_that_is_not_there_is_found_by_the_checks(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ANNOTATIONS": {"*": {"priority": 1}, "shop.on": {"priority": 2}, "zzz": {"priority": 3}}}
    shared_task(body, name="shop.one")
    near, far = checking.check_annotations()
    assert (near.id, near.hint) == ("djtasks.W012", "Did you mean 'shop.one'?")
    assert "'zzz'" in far.msg and far.hint == "Remove it."
