"""A task that runs here and now meets what its message would have met: checks, encoding, judgement (MON-3, J3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import SimpleTestCase

from djtasks import AsyncResult, EagerResult, Task, shared_task
from djtasks.exceptions import EncodeError, Ignore, Reject, TaskRevokedError
from djtasks.models import Message, Result
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, echo, fail, look, note, ran

in_database = pytest.mark.django_db(transaction=True)

WRONG_CALLS: list[tuple[Task, tuple[Any, ...], dict[str, Any]]] = [
    (add, (1,), {}),
    (echo, (object(),), {}),
    (echo, ("a\0b",), {}),
    (echo, (float("nan"),), {}),
    (echo, ("abc",), {"queue": "two words"}),
    (echo, (), {"priority": 1000}),
    (echo, (), {"countdown": 5, "eta": datetime(2040, 1, 1, tzinfo=UTC)}),
    (echo, (), {"eta": datetime(2040, 1, 1)}),
    (echo, (), {"expires": "soon"}),
    (echo, (), {"task_id": "daily-report"}),
    (echo, (), {"headers": {"trace": object()}}),
    (echo, (), {"serializer": "pickle"}),
    (echo, (), {"zzz": 1}),
]


@pytest.mark.parametrize(("task", "args", "options"), WRONG_CALLS)
@pytest.mark.django_db
def test_wrong_call_meets_the_error_that_it_would_meet_without(
    task: Task, args: Any, options: Any, settings: Any
) -> None:
    """J3."""
    with pytest.raises((TypeError, ValueError)) as sent:
        task.apply_async(args, **options)
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True}
    for call in (task.apply_async, task.apply):
        with pytest.raises(type(sent.value)) as eager:
            call(args, **options)
        assert str(eager.value) == str(sent.value)


def test_arguments_and_value_go_through_json(eager: None) -> None:
    """MON-3."""
    assert echo.delay((1, 2), {"x": (3,)}, y={Decimal("1.10")}).get() == [
        [[1, 2], {"x": [3]}],
        {"y": {Decimal("1.10")}},
    ]


def test_arguments_are_copies(eager: None) -> None:
    """MON-3."""
    given = [1]

    @shared_task
    def body(numbers: list[int]) -> None:
        numbers.append(2)

    body.delay(given)
    assert given == [1]


def test_value_that_cannot_be_stored_is_a_failure(eager: None) -> None:
    """RES-15, MON-3."""
    result = shared_task(lambda: object(), name="returning").delay()
    assert result.failed()
    with pytest.raises(EncodeError, match=r"result is of type builtins.object"):
        result.get()


def test_value_that_nobody_wants_may_be_anything(eager: None) -> None:
    """RES-7."""
    value = object()
    result = shared_task(lambda: value, name="returning", ignore_result=True).delay()
    assert result.successful() and result.get() is value


def test_facts_of_a_success(eager: None) -> None:
    """RES-9."""
    result = add.apply_async((1,), {"y": 2}, queue="mail")
    assert isinstance(result, EagerResult) and isinstance(result, AsyncResult)
    assert (result.state, result.status, result.result, result.info) == ("SUCCESS", "SUCCESS", 3, 3)
    assert (result.ready(), result.successful(), result.failed(), result.exists()) == (True, True, False, True)
    assert (result.name, result.args, result.kwargs, result.queue) == (add.name, [1], {"y": 2}, "mail")
    assert (result.retries, result.deliveries, result.errors, result.traceback) == (0, 1, [], None)
    assert result.date_done is not None and result.worker
    assert result.revoke() == "too_late" and result.forget() is None and result.get() == 3


def test_facts_of_a_failure(eager: None) -> None:
    """RES-9."""
    result = fail.delay("no")
    assert (result.state, result.failed(), str(result.result)) == ("FAILURE", True, "no")
    assert str(result.traceback).endswith("ValueError: no\n")
    assert [error["message"] for error in result.errors] == ["no"]
    with pytest.raises(ValueError, match="no"):
        result.get(timeout=1)
    assert isinstance(result.get(propagate=False), ValueError)


@pytest.mark.parametrize(
    ("error", "state"), [(Ignore(), "IGNORED"), (Reject("bad"), "FAILURE"), (Reject("bad", requeue=True), "REJECTED")]
)
def test_word_to_the_worker_ends_the_task(eager: None, error: Exception, state: str) -> None:
    """TASK-4."""

    @shared_task
    def body() -> None:
        raise error

    result = body.delay()
    assert result.state == state and result.ready()


def test_error_is_raised_where_that_is_wanted(settings: Any) -> None:
    """MON-3."""
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True, "TASK_EAGER_PROPAGATES": True}
    with pytest.raises(ValueError, match="no"):
        fail.delay("no")
    assert fail.apply(("no",), throw=False).failed()
    assert add.delay(1, 2).get() == 3


def test_apply_raises_where_that_is_wanted() -> None:
    """MON-3."""
    with pytest.raises(ValueError, match="no"):
        fail.apply(("no",), throw=True)


def test_apply_may_begin_with_a_retry() -> None:
    result = look.apply(("retries", "deliveries", "redelivered"), retries=2)
    assert result.get() == {"retries": 2, "deliveries": 3, "redelivered": False}


def test_delay_is_not_waited_for(eager: None) -> None:
    """MON-3."""
    note.apply_async(("at once",), countdown=3600, expires=timedelta(seconds=-1))
    assert ran == ["at once"]


@in_database
def test_eager_task_leaves_no_row(eager: None) -> None:
    """MON-3."""
    add.delay(1, 2)
    assert not Message.objects.exists() and not Result.objects.exists()


@in_database
def test_eager_result_is_kept_where_that_is_wanted(settings: Any) -> None:
    """MON-3, RES-14."""
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True, "TASK_STORE_EAGER_RESULT": True, "RESULT_EXPIRES": 60}
    for eager in (add.apply_async((1, 2), priority=3), fail.delay("no"), note.delay(7)):
        kept = AsyncResult(eager.id)
        for fact in ("state", "name", "args", "kwargs", "queue", "retries", "deliveries", "errors", "date_done"):
            assert getattr(kept, fact) == getattr(eager, fact)
        assert repr(kept.result) == repr(eager.result)
        expires_at, finished_at = Result.objects.values_list("expires_at", "finished_at").get(pk=eager.id)
        assert expires_at is not None and round((expires_at - finished_at).total_seconds()) == 60


@pytest.mark.parametrize(
    ("send", "kept"),
    [
        (lambda: note.apply_async(("x",), ignore_result=True), False),
        (lambda: fail.apply_async(("x",), ignore_result=True), False),
        (lambda: shared_task(lambda: 1 / 0, name="a", ignore_result=True).delay(), False),
        (
            lambda: shared_task(lambda: 1 / 0, name="b", ignore_result=True, store_errors_even_if_ignored=True).delay(),
            True,
        ),
    ],
)
@in_database
def test_eager_result_that_nobody_wants_is_not_kept(settings: Any, send: Callable[[], AsyncResult], kept: bool) -> None:
    """RES-7."""
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True, "TASK_STORE_EAGER_RESULT": True}
    send()
    assert Result.objects.exists() is kept


def test_hooks_run_in_order(eager: None) -> None:
    """TASK-2."""

    class Telling(Task):
        def before_start(self, *args: Any) -> None:
            ran.append("before_start")

        def on_success(self, *args: Any) -> None:
            ran.append("on_success")

        def after_return(self, *args: Any) -> None:
            ran.append("after_return")

    shared_task(lambda: ran.append("body"), name="telling", base=Telling).delay()
    assert ran == ["before_start", "body", "on_success", "after_return"]


def test_eager_task_may_wait_for_another(eager: None) -> None:
    """RES-5."""

    @shared_task
    def outer() -> int:
        return int(add.delay(1, 2).get())

    assert outer.delay().get() == 3


def test_children_know_their_parent_and_root(eager: None) -> None:
    """CALL-10."""

    @shared_task(bind=True)
    def outer(self: Task) -> dict[str, Any]:
        return {**look.delay("parent_id", "root_id").get(), "id": self.request.id}

    found = outer.delay().get()
    assert found["parent_id"] == found["root_id"] == found["id"]


@in_database
def test_apply_may_send_messages() -> None:
    """MON-3."""

    @shared_task
    def outer() -> str:
        return add.delay(1, 2).id

    result = outer.apply()
    assert [child.id for child in result.children] == [result.get()]
    run_until_empty()
    assert AsyncResult(result.get()).get() == 3


def test_result_can_be_made_by_hand() -> None:
    good = EagerResult("018f4c1e-0000-7000-8000-000000000001", 3, "SUCCESS", name="some.name")
    assert (good.get(), good.state, good.name, good.ready(), good.args) == (3, "SUCCESS", "some.name", True, [])
    bad = EagerResult("018f4c1e-0000-7000-8000-000000000002", TaskRevokedError("revoked"), "REVOKED", "Traceback …")
    assert bad.traceback == "Traceback …" and not bad.successful()
    with pytest.raises(TaskRevokedError):
        bad.get()


class NoDatabase(SimpleTestCase):
    """J3: a test of an application that has no database."""

    def test_eager_task_needs_none(self) -> None:
        with self.settings(DJTASKS={"TASK_ALWAYS_EAGER": True}):
            result = add.delay(1, 2)
        self.assertEqual((result.get(), result.state, result.ready(), result.parent), (3, "SUCCESS", True, None))
