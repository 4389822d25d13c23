"""A retry is the same message once more: same row, same id, same queue, one more retry (RETRY)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from djtasks import Task, shared_task
from djtasks.domain import outcomes
from djtasks.domain.identifiers import uuid7
from djtasks.exceptions import EncodeError, Ignore, MaxRetriesExceededError, Reject, Retry
from djtasks.models import Message, Result
from djtasks.tasks import attempt
from djtasks.tasks.attempt import Attempt
from djtasks.tasks.context import Request
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import look, ran, retry_until

in_database = pytest.mark.django_db(transaction=True)


def attempted(task: Task, *args: Any, retries: int = 0) -> Attempt:
    """Make one attempt at a body, as the worker does."""
    return attempt.make(
        task, Request(id=str(uuid7()), task=task.name, args=args, retries=retries, called_directly=False)
    )


def delay_of(ended: Attempt) -> float:
    assert isinstance(ended.outcome, outcomes.Retry)
    return ended.outcome.delay


# The call


def test_retry_raises_so_that_nothing_after_it_is_reached() -> None:
    """RETRY-1."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        ran.append("before")
        self.retry()
        ran.append("after")

    ended = attempted(body)
    assert isinstance(ended.outcome, outcomes.Retry) and isinstance(ended.error, Retry)
    assert ran == ["before"]


@pytest.mark.parametrize("then", ["return", "raise"])
def test_retry_that_does_not_throw_lets_the_body_go_on(then: str) -> None:
    """RETRY-1."""

    @shared_task(bind=True)
    def body(self: Task) -> str:
        again = self.retry(throw=False, countdown=7)
        ran.append(again)
        if then == "raise":
            raise ValueError("later")
        return "not the result"

    ended = attempted(body)
    assert delay_of(ended) == 7 and isinstance(ran[0], Retry)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 180),
        ({"countdown": 5}, 5),
        ({"countdown": 0}, 0),
        ({"countdown": -5}, 0),
        ({"countdown": timedelta(minutes=1)}, 60),
        ({"countdown": 5, "eta": datetime(2040, 1, 1, tzinfo=UTC)}, 5),
    ],
)
def test_delay_is_countdown_else_the_tasks_own(given: dict[str, Any], seconds: float) -> None:
    """RETRY-3."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        self.retry(**given)

    assert delay_of(attempted(body)) == seconds


def test_delay_may_be_a_moment() -> None:
    """RETRY-3."""
    moment = datetime(2040, 1, 1, 12, tzinfo=UTC)

    @shared_task(bind=True)
    def body(self: Task) -> None:
        self.retry(eta=moment)

    outcome = attempted(body).outcome
    assert isinstance(outcome, outcomes.Retry) and outcome.due_at == moment.timestamp()


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"countdown": "5"}, TypeError, "countdown is a number"),
        ({"countdown": float("inf")}, ValueError, "hundred years"),
        ({"eta": datetime(2040, 1, 1)}, ValueError, "is naive"),
        ({"eta": "tomorrow"}, TypeError, "countdown is a number"),
        ({"queue": "two words"}, ValueError, "no name for a queue"),
        ({"priority": 1000}, ValueError, "between -100 and 100"),
        ({"kwargs": {"zzz": 1}}, TypeError, "unexpected keyword argument 'zzz'"),
        ({"args": (object(),)}, EncodeError, r"args\[0\]"),
        ({"link": None}, TypeError, r"retry\(\) takes no option 'link'; it takes priority, queue"),
        ({"serializer": "json"}, TypeError, "leave it out"),
    ],
)
def test_retry_that_cannot_be_meant_is_an_error_of_the_body(
    given: dict[str, Any], error: type[Exception], said: str
) -> None:
    @shared_task(bind=True)
    def body(self: Task, *args: Any) -> None:
        with pytest.raises(error, match=said):
            self.retry(**given)
        raise KeyError("reached")

    assert isinstance(attempted(body).error, KeyError)


@pytest.mark.parametrize(
    "again",
    [
        Retry(when=datetime(2040, 1, 1)),
        Retry(when="soon"),  # type: ignore[arg-type]
        Retry(options={"queue": "two words"}),
        Retry(options={"zzz": 1}),
        Retry(args=(object(),)),
    ],
    ids=str,
)
def test_retry_that_is_raised_by_hand_and_cannot_be_meant_is_a_failure(again: Retry) -> None:
    @shared_task
    def body() -> None:
        raise again

    assert isinstance(attempted(body).outcome, outcomes.Failure)


def test_retry_may_be_raised_by_hand() -> None:
    @shared_task
    def body() -> None:
        raise Retry(when=5)

    assert delay_of(attempted(body)) == 5


# The limit


@pytest.mark.parametrize(
    ("declared", "given", "executions"),
    [
        ({}, {}, 4),
        ({"max_retries": 1}, {}, 2),
        ({"max_retries": 0}, {}, 1),
        ({"max_retries": 1}, {"max_retries": 2}, 3),
        ({"max_retries": 1}, {"max_retries": None}, 2),
        ({"max_retries": None}, {"max_retries": 2}, 3),
    ],
)
@in_database
def test_task_runs_once_more_than_it_may_be_retried(
    declared: dict[str, Any], given: dict[str, Any], executions: int
) -> None:
    """RETRY-4."""

    @shared_task(bind=True, **declared)
    def body(self: Task) -> None:
        ran.append(self.request.retries)
        self.retry(**given)

    result = body.delay()
    run_until_empty()
    assert ran == list(range(executions))
    assert (result.state, result.retries, len(result.errors)) == ("FAILURE", executions - 1, executions)


@in_database
def test_task_without_a_limit_is_retried_as_often_as_it_asks() -> None:
    """RETRY-4."""
    task = shared_task(retry_until.__wrapped__, name="endless", bind=True, max_retries=None)
    result = task.delay(20)
    run_until_empty()
    assert result.get() == 20


def test_exhausted_retry_raises_max_retries_exceeded() -> None:
    """RETRY-5."""
    ended = attempted(retry_until, 9, retries=3)
    assert isinstance(ended.error, MaxRetriesExceededError)
    assert "can't retry tests.tasks_api.samples.retry_until[" in str(ended.error)
    assert isinstance(ended.outcome, outcomes.Failure)


def test_exhausted_retry_raises_the_given_error_chained_to_the_one_at_hand() -> None:
    """RETRY-5."""

    @shared_task(bind=True, max_retries=0)
    def body(self: Task) -> None:
        try:
            raise OSError("the line is dead")
        except OSError:
            self.retry(exc=LookupError("given up"))

    ended = attempted(body)
    assert isinstance(ended.error, LookupError) and isinstance(ended.error.__cause__, OSError)
    assert "the line is dead" in str(ended.traceback) and "direct cause" in str(ended.traceback)


def test_exhausted_retry_raises_the_error_at_hand_as_it_is() -> None:
    """RETRY-5."""

    @shared_task(bind=True, max_retries=0)
    def body(self: Task) -> None:
        try:
            raise OSError("the line is dead")
        except OSError as error:
            self.retry(exc=error)

    ended = attempted(body)
    assert isinstance(ended.error, OSError) and ended.error.__cause__ is None


# The same message


@in_database
def test_retry_keeps_all_but_what_it_is_given() -> None:
    """RETRY-2."""
    options: dict[str, Any] = {"queue": "mail", "priority": 7, "expires": 3600, "headers": {"tenant": 1}, "shadow": "x"}
    result = retry_until.apply_async((1,), {"countdown": 0}, **options)
    before = Message.objects.get()
    run_until_empty()
    after = Result.objects.get()
    assert result.get() == 1
    for name in ("id", "task", "args", "kwargs", "queue", "priority", "options", "root", "parent", "enqueued_at"):
        assert getattr(after, name) == getattr(before, name)
    assert (after.retries, after.deliveries, after.losses) == (1, 2, 0)


@in_database
def test_retried_message_waits_in_its_queue_under_its_id() -> None:
    """RETRY-2, RETRY-3, RETRY-7."""
    result = retry_until.apply_async((1,), {"countdown": 600, "exc": None}, queue="mail", expires=3600)
    before = Message.objects.get()
    run_until_empty(patient=True)
    message = Message.objects.get()
    assert (message.id, message.queue, message.retries) == (before.id, "mail", 1)
    assert (message.leased_until, message.started_at) == (None, None)
    assert message.expires_at == before.expires_at
    assert message.due_at is not None
    assert abs(message.due_at - timezone.now() - timedelta(seconds=600)) < timedelta(seconds=30)
    assert result.state == "RETRY" and not result.ready()


@in_database
def test_retry_may_change_arguments_queue_and_priority() -> None:
    """RETRY-2."""

    @shared_task(bind=True)
    def body(self: Task, name: str, *, size: int = 0) -> list[Any]:
        if not self.request.retries:
            self.retry(args=("new",), kwargs={"size": 2}, queue="other", priority=3, countdown=0)
        return [name, size, self.request.queue, self.request.priority]

    result = body.delay("old")
    run_until_empty()
    assert result.get() == ["new", 2, "other", 3]
    assert (result.args, result.kwargs, result.queue) == (["new"], {"size": 2}, "other")


@in_database
def test_what_made_a_retry_necessary_is_what_its_caller_sees() -> None:
    """RETRY-7."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        try:
            raise ConnectionError("no route")
        except ConnectionError as error:
            self.retry(exc=error)

    result = body.delay()
    run_until_empty(patient=True)
    assert result.state == "RETRY"
    assert isinstance(result.result, ConnectionError) and str(result.info) == "no route"
    assert 'raise ConnectionError("no route")' in str(result.traceback)
    assert [(error["kind"], error["retries"]) for error in result.errors] == [("retry", 0)]


@in_database
def test_errors_of_all_attempts_are_kept_in_the_result() -> None:
    """RETRY-7."""

    @shared_task(bind=True, max_retries=2)
    def body(self: Task) -> None:
        self.retry(exc=ValueError(f"attempt {self.request.retries}"), countdown=0)

    result = body.delay()
    run_until_empty()
    assert [error["message"] for error in result.errors] == ["attempt 0", "attempt 1", "attempt 2"]
    assert [error["kind"] for error in result.errors] == ["retry", "retry", "failure"]
    assert [error["delivery"] for error in result.errors] == [1, 2, 3]


@in_database
def test_retried_run_still_expires() -> None:
    """CALL-4."""
    result = retry_until.apply_async((1,), {"countdown": 60}, expires=3600)
    run_until_empty(patient=True)
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    run_until_empty()
    assert result.state == "REVOKED" and result.errors[-1]["reason"] == "expired"


# Outside of a worker


def test_retry_of_a_direct_call_raises_the_error() -> None:
    """RETRY-6."""
    error = OSError("the line is dead")
    with pytest.raises(OSError) as caught:
        retry_until(1, exc=error)
    assert caught.value is error


def test_retry_of_a_direct_call_without_an_error_raises_retry() -> None:
    """RETRY-6."""
    with pytest.raises(Retry, match="only be retried where a worker runs it"):
        retry_until(1)


def test_retry_from_outside_of_any_task_raises_too() -> None:
    """RETRY-6."""
    with pytest.raises(Retry):
        look.retry()


def test_eager_task_is_retried_at_once() -> None:
    """RETRY-6."""
    result = retry_until.apply((2,), {"countdown": 3600})
    assert (result.get(), result.retries, [error["kind"] for error in result.errors]) == (2, 2, ["retry", "retry"])


def test_eager_task_ends_when_no_retry_is_left() -> None:
    """RETRY-6."""
    result = retry_until.apply((9,))
    assert result.failed() and isinstance(result.result, MaxRetriesExceededError) and result.retries == 3


# By itself


class Cold(Exception): ...


class Frozen(Cold): ...


@pytest.mark.parametrize(
    ("declared", "error", "outcome"),
    [
        ({"autoretry_for": (Cold,)}, Cold(), outcomes.Retry),
        ({"autoretry_for": (Cold,)}, Frozen(), outcomes.Retry),
        ({"autoretry_for": [Cold]}, Cold(), outcomes.Retry),
        ({"autoretry_for": (Cold,)}, ValueError(), outcomes.Failure),
        ({"autoretry_for": (Cold,), "dont_autoretry_for": (Frozen,)}, Frozen(), outcomes.Failure),
        ({"autoretry_for": (Exception,)}, Ignore(), outcomes.Ignored),
        ({"autoretry_for": (Exception,)}, Reject("bad"), outcomes.Rejected),
        ({"autoretry_for": (Exception,)}, Retry(when=1), outcomes.Retry),
        ({"autoretry_for": (Cold,), "max_retries": 0}, Cold(), outcomes.Failure),
        ({"autoretry_for": (Cold,), "retry_kwargs": {"max_retries": 0}}, Cold(), outcomes.Failure),
        ({}, Cold(), outcomes.Failure),
    ],
)
def test_listed_errors_are_retried(declared: dict[str, Any], error: Exception, outcome: type[Any]) -> None:
    """RETRY-8."""

    @shared_task(**declared)
    def body() -> None:
        raise error

    ended = attempted(body)
    assert isinstance(ended.outcome, outcome)
    if outcome is outcomes.Failure:
        assert ended.error is error


def test_error_of_a_direct_call_is_raised_as_it_is() -> None:
    """RETRY-8, TASK-5."""

    @shared_task(autoretry_for=(Cold,))
    def body() -> None:
        raise Cold

    with pytest.raises(Cold):
        body()


@pytest.mark.parametrize(
    ("declared", "delays"),
    [
        ({"retry_backoff": True, "retry_jitter": False}, [1, 2, 4, 8]),
        ({"retry_backoff": 5, "retry_jitter": False}, [5, 10, 20, 40]),
        ({"retry_backoff": True, "retry_backoff_max": 3, "retry_jitter": False}, [1, 2, 3, 3]),
        ({"retry_backoff": 2, "retry_jitter": False, "retry_kwargs": {"countdown": 9}}, [2, 4, 8, 16]),
        ({}, [180, 180, 180, 180]),
        ({"default_retry_delay": 7}, [7, 7, 7, 7]),
        ({"retry_kwargs": {"countdown": 9}}, [9, 9, 9, 9]),
    ],
)
def test_delay_doubles_with_backoff_and_is_constant_without(declared: dict[str, Any], delays: list[int]) -> None:
    """RETRY-9, RETRY-10."""

    @shared_task(autoretry_for=(Cold,), max_retries=None, **declared)
    def body() -> None:
        raise Cold

    assert [delay_of(attempted(body, retries=retries)) for retries in range(4)] == delays


def test_jitter_draws_whole_seconds_up_to_the_delay() -> None:
    """RETRY-9."""

    @shared_task(autoretry_for=(Cold,), max_retries=None, retry_backoff=True)
    def body() -> None:
        raise Cold

    assert {delay_of(attempted(body, retries=2)) for _ in range(200)} == {0, 1, 2, 3, 4}


@in_database
def test_task_that_recovers_succeeds() -> None:
    """RETRY-8."""

    @shared_task(bind=True, autoretry_for=(Cold,), retry_backoff=True)
    def body(self: Task) -> str:
        if self.request.retries < 2:
            raise Cold("brr")
        return "warm"

    result = body.delay()
    run_until_empty()
    assert (result.get(), result.retries) == ("warm", 2)
