"""What a caller marks a message with: time limits of its own, stamps, tags (CALL)."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import AsyncResult, Task, send_task, shared_task
from djtasks.exceptions import ImproperlyConfigured
from djtasks.models import Message, Result
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, look

pytestmark = pytest.mark.django_db
in_database = pytest.mark.django_db(transaction=True)


def options_of(result: AsyncResult) -> dict[str, Any]:
    options: dict[str, Any] = Message.objects.get(pk=result.id).options
    return options


# Time limits


@pytest.mark.parametrize(
    "given",
    [
        {"time_limit": 5},
        {"soft_time_limit": 0.5},
        {"time_limit": 5, "soft_time_limit": 5},
        {"time_limit": None},
        {"soft_time_limit": None, "time_limit": None},
    ],
)
def test_limits_of_a_call_travel_with_its_message(given: dict[str, Any]) -> None:
    """CALL-5, CALL-6."""
    assert options_of(add.apply_async((1, 2), **given)) == given
    assert options_of(send_task("elsewhere", **given)) == given


def test_soft_limit_above_the_hard_one_is_refused_in_the_caller() -> None:
    """CALL-6."""
    limited = shared_task(lambda: None, name="limited", soft_time_limit=30, time_limit=60)
    for task, given in (
        (add, {"time_limit": 5, "soft_time_limit": 6}),
        (limited, {"soft_time_limit": 61}),
        (limited, {"time_limit": 29}),
    ):
        with pytest.raises(ValueError, match=r"soft_time_limit=\d+ is above time_limit=\d+"):
            task.apply_async((1, 2) if task is add else (), **given)
        with pytest.raises(ValueError, match="is above"):
            send_task(task.name, (1, 2) if task is add else (), **given)
    assert not Message.objects.exists()
    limited.apply_async(soft_time_limit=61, time_limit=None)
    limited.apply_async(soft_time_limit=None, time_limit=29)


def test_limits_of_the_settings_need_not_fit_those_of_tasks_and_calls(settings: Any) -> None:
    """CALL-6: in Celery, too, they are those of the worker; whichever comes first counts."""
    settings.DJTASKS = {"TASK_TIME_LIMIT": 100, "TASK_SOFT_TIME_LIMIT": 50, "TASK_ANNOTATIONS": {"*": {"priority": 1}}}
    short, long = (
        shared_task(lambda: None, name="short", time_limit=10),
        shared_task(lambda: None, name="long", soft_time_limit=200),
    )
    assert options_of(short.apply_async(time_limit=5)) == {"time_limit": 5}
    assert options_of(long.apply_async(soft_time_limit=300)) == {"soft_time_limit": 300}
    assert options_of(add.apply_async((1, 2), soft_time_limit=101)) == {"soft_time_limit": 101}


@pytest.mark.parametrize("name", ["time_limit", "soft_time_limit"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), ("5", TypeError), (True, TypeError)])
def test_limit_that_leaves_no_time_is_refused(name: str, value: Any, error: type[Exception]) -> None:
    """CALL-6."""
    with pytest.raises(error, match="a time limit"):
        add.apply_async((1, 2), **{name: value})


def test_task_whose_soft_limit_is_above_its_hard_one_cannot_be_declared() -> None:
    """CALL-6."""
    with pytest.raises(ImproperlyConfigured, match="task 'wrong': soft_time_limit=9 is above time_limit=8"):
        shared_task(lambda: None, name="wrong", soft_time_limit=9, time_limit=8)


@in_database
def test_body_sees_the_limits_that_hold_for_it(settings: Any) -> None:
    """CALL-5."""
    settings.DJTASKS = {"TASK_TIME_LIMIT": 100}
    task = shared_task(look.__wrapped__, name="looking", bind=True, soft_time_limit=30)
    given: list[dict[str, Any]] = [{}, {"time_limit": 40}, {"soft_time_limit": None}, {"time_limit": None}]
    results = [task.apply_async(("timelimit",), **each) for each in given]
    run_until_empty()
    assert [result.get()["timelimit"] for result in results] == [[100, 30], [40, 30], [100, None], [None, 30]]


@in_database
def test_retry_keeps_limits_headers_stamps_and_tags() -> None:
    """RETRY-2."""
    seen: list[Any] = []

    @shared_task(bind=True)
    def body(self: Task) -> None:
        seen.append([self.request.timelimit, self.request.headers, self.request.stamps, self.request.tags])
        if not self.request.retries:
            self.retry(countdown=0)

    body.apply_async(time_limit=9, soft_time_limit=None, headers={"a": 1}, stamped_headers=["b"], b=2, tags=["c"])
    run_until_empty()
    assert seen == [[(9, None), {"a": 1, "b": 2}, {"b": 2}, ["c"]]] * 2


@in_database
@pytest.mark.parametrize("option", ["time_limit", "soft_time_limit", "expires", "headers", "tags", "stamped_headers"])
def test_retry_cannot_change_what_the_message_keeps(option: str) -> None:
    """RETRY-2."""
    task = shared_task(lambda self: self.retry(**{option: None}), name="changing", bind=True)
    result = task.delay()
    run_until_empty()
    with pytest.raises(TypeError, match=rf"retry\(\) takes no option '{option}': the message keeps that of its call"):
        result.get()


# Stamps


@in_database
@pytest.mark.parametrize(
    "given",
    [
        {"stamped_headers": ["tenant", "batch"], "tenant": 7, "batch": "b"},
        {"stamped_headers": ("tenant", "batch", "tenant"), "headers": {"tenant": 7, "batch": "b"}},
        {"stamped_headers": ["tenant", "batch"], "headers": {"tenant": 7}, "batch": "b"},
    ],
)
def test_stamps_are_headers_that_the_body_sees_by_themselves(given: dict[str, Any]) -> None:
    """CANV-14."""
    result = look.apply_async(("stamps", "stamped_headers", "headers"), **given)
    assert options_of(result) == {"headers": {"tenant": 7, "batch": "b"}, "stamped_headers": ["tenant", "batch"]}
    run_until_empty()
    stamps = {"tenant": 7, "batch": "b"}
    assert result.get() == {"stamps": stamps, "stamped_headers": ["tenant", "batch"], "headers": stamps}
    assert Result.objects.get(pk=result.id).options["stamped_headers"] == ["tenant", "batch"]


@pytest.mark.parametrize("names", [None, []])
def test_no_stamps_are_none(names: Any) -> None:
    assert options_of(add.apply_async((1, 2), stamped_headers=names)) == {}
    assert look.apply(("stamps", "stamped_headers", "tags")).get() == {"stamps": {}, "stamped_headers": [], "tags": []}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"stamped_headers": ["tenant"]}, ValueError, "the stamp 'tenant' has no value"),
        ({"stamped_headers": ["queue"], "queue": "x"}, ValueError, "'queue' cannot be stamped"),
        ({"stamped_headers": [7]}, ValueError, "7 cannot be stamped"),
        ({"stamped_headers": "tenant", "tenant": 7}, TypeError, "stamped_headers is a list of names"),
        ({"stamped_headers": 7}, TypeError, "stamped_headers is a list of names"),
        ({"stamped_headers": ["a"], "a": 1, "b": 2}, TypeError, "takes no option 'b'"),
        ({"stamped_headers": ["a"], "headers": ["a"]}, TypeError, "headers is a dict"),
        ({"stamped_headers": ["a"], "a": object()}, TypeError, r"options.*pass plain data"),
    ],
)
def test_stamps_that_cannot_be_meant_are_refused(given: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        add.apply_async((1, 2), **given)
    assert not Message.objects.exists()


@in_database
def test_stamps_and_tags_of_a_task_do_not_pass_to_what_is_sent_in_it() -> None:
    """As in Celery, where a visitor stamps a whole canvas, but a call in a body is a call of its own."""

    @shared_task
    def parent() -> str:
        return look.delay("stamps", "tags").id

    result = parent.apply_async(stamped_headers=["tenant"], tenant=7, tags=["a"])
    run_until_empty()
    assert AsyncResult(result.get()).get() == {"stamps": {}, "tags": []}


# Tags


@in_database
def test_message_has_the_tags_of_its_task_and_of_its_call() -> None:
    task = shared_task(look.__wrapped__, name="tagged", bind=True, tags=("nightly", "billing"))
    results = [task.delay("tags"), task.apply_async(("tags",), tags=["billing", "eu"])]
    assert [options_of(result)["tags"] for result in results] == [["nightly", "billing"], ["nightly", "billing", "eu"]]
    assert options_of(send_task("elsewhere", tags=("eu",))) == {"tags": ["eu"]}
    Message.objects.filter(task="elsewhere").delete()
    run_until_empty()
    assert [result.get()["tags"] for result in results] == [["nightly", "billing"], ["nightly", "billing", "eu"]]


@pytest.mark.parametrize(
    ("tags", "error", "said"),
    [
        ("nightly", TypeError, "tags is a tuple of texts"),
        ([7], TypeError, "a tag is a text"),
        ([""], ValueError, "1 to 128 printable characters"),
        (["x" * 129], ValueError, "1 to 128 printable characters"),
        (["a\nb"], ValueError, "1 to 128 printable characters"),
    ],
)
def test_tags_that_are_none_are_refused(tags: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        add.apply_async((1, 2), tags=tags)
    with pytest.raises(ImproperlyConfigured, match=f"task 'wrong': .*{said}"):
        shared_task(lambda: None, name="wrong", tags=tags)
