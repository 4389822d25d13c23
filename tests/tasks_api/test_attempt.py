"""One attempt at a body: what is called around it, in which order, and how each end is judged (TASK)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from djtasks import AsyncResult, Task, shared_task, signals
from djtasks.domain import outcomes
from djtasks.domain.identifiers import uuid7
from djtasks.exceptions import EncodeError, Ignore, Reject, ResultNotFound
from djtasks.models import Message, Result
from djtasks.tasks import attempt
from djtasks.tasks.attempt import Attempt
from djtasks.tasks.context import Request
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, echo, fail

in_database = pytest.mark.django_db(transaction=True)
happened: list[Any] = []


def attempted(task: Task, *args: Any, **fields: Any) -> Attempt:
    return attempt.make(task, Request(id=str(uuid7()), task=task.name, args=args, called_directly=False, **fields))


def state_in_database() -> str:
    """Tell how far a connection of its own finds the one task of the test."""
    return AsyncResult((Message.objects.first() or Result.objects.get()).id).state


class Telling(Task):
    """Tells what is called, and what is recorded by then."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        happened.append(("before_start", args, kwargs, state_in_database()))

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        happened.append(("on_success", retval, state_in_database()))

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: str) -> None:
        happened.append(("on_failure", str(exc), einfo.splitlines()[-1], state_in_database()))

    def on_retry(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: str) -> None:
        happened.append(("on_retry", str(exc), einfo.splitlines()[-1], state_in_database()))

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: str | None) -> None:
        happened.append(("after_return", status, str(retval), state_in_database()))


@pytest.fixture(autouse=True)
def receivers() -> Iterator[None]:
    """Tell of each signal by its name, with the sender's name and the names of its facts."""
    happened.clear()

    def receiver(name: str) -> Callable[..., None]:
        def receive(sender: Any, signal: Any, **facts: Any) -> None:
            happened.append((name, sender.name, *sorted(facts)))

        return receive

    ends = ("task_success", "task_failure", "task_retry", "task_rejected", "task_internal_error")
    told = {name: receiver(name) for name in ("task_prerun", *ends, "task_postrun")}
    for name, function in told.items():
        getattr(signals, name).connect(function)
    yield
    for name, function in told.items():
        getattr(signals, name).disconnect(function)


def names() -> list[str]:
    return [each[0] for each in happened]


# The order


@in_database
def test_success_is_told_in_order_once_it_is_recorded() -> None:
    """TASK-2."""

    @shared_task(base=Telling, name="telling")
    def body(x: int, *, y: int) -> int:
        happened.append(("body",))
        return x + y

    body.delay(1, y=2)
    run_until_empty()
    assert happened == [
        ("task_prerun", "telling", "args", "kwargs", "task", "task_id"),
        ("before_start", (1,), {"y": 2}, "STARTED"),
        ("body",),
        ("on_success", 3, "SUCCESS"),
        ("task_success", "telling", "result"),
        ("after_return", "SUCCESS", "3", "SUCCESS"),
        ("task_postrun", "telling", "args", "kwargs", "retval", "state", "task", "task_id"),
    ]


@in_database
def test_failure_is_told_in_order_once_it_is_recorded() -> None:
    """TASK-2."""

    @shared_task(base=Telling, name="telling")
    def body() -> None:
        raise ValueError("no")

    body.delay()
    run_until_empty()
    assert happened[2:] == [
        ("on_failure", "no", "ValueError: no", "FAILURE"),
        ("task_failure", "telling", "args", "einfo", "exception", "kwargs", "task_id", "traceback"),
        ("after_return", "FAILURE", "no", "FAILURE"),
        ("task_postrun", "telling", "args", "kwargs", "retval", "state", "task", "task_id"),
    ]


@in_database
def test_retry_is_told_in_order_once_it_is_recorded_and_nothing_returns() -> None:
    """TASK-2."""

    @shared_task(bind=True, base=Telling, name="telling")
    def body(self: Task) -> None:
        self.retry(exc=OSError("later"), countdown=60)

    body.delay()
    run_until_empty(patient=True)
    assert happened[2:] == [
        ("on_retry", "Retry in 60s: OSError('later')", "OSError: later", "RETRY"),
        ("task_retry", "telling", "einfo", "reason", "request"),
        ("task_postrun", "telling", "args", "kwargs", "retval", "state", "task", "task_id"),
    ]


@pytest.mark.parametrize(("error", "told"), [(Ignore(), []), (Reject("bad"), ["task_rejected"])], ids=repr)
@in_database
def test_ignored_and_rejected_runs_return_nothing(error: Exception, told: list[str]) -> None:
    """TASK-2, TASK-4, MON-2."""

    @shared_task(name="telling", base=Telling)
    def body() -> None:
        raise error

    body.delay()
    run_until_empty()
    assert names() == ["task_prerun", "before_start", *told, "task_postrun"]


@pytest.mark.parametrize("hook", ["on_success", "after_return"])
@in_database
def test_hook_that_raises_keeps_nobody_else_back(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    """TASK-2."""

    def broken(*args: Any) -> None:
        raise SystemExit("from a hook")

    task = shared_task(add.run, base=type("Broken", (Telling,), {hook: broken}), name="telling")
    result = task.delay(1, 2)
    run_until_empty()
    assert result.get() == 3
    rest = ["on_success", "task_success", "after_return", "task_postrun"]
    rest[rest.index(hook)] = "task_internal_error"
    assert names() == ["task_prerun", "before_start", *rest]
    told = next(each for each in happened if each[0] == "task_internal_error")
    assert told[1:] == ("telling", "args", "einfo", "exception", "kwargs", "request", "task_id", "traceback")
    assert f"a hook of telling[{result.id}] failed" in caplog.text


def test_receiver_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def receive(**facts: Any) -> None:
        raise LookupError("from a receiver")

    with connected(signals.task_prerun, receive):
        assert isinstance(attempted(add, 1, 2).outcome, outcomes.Success)
    assert "from a receiver" in caplog.text


def test_receiver_that_wants_to_end_the_process_fails_the_task() -> None:
    """E8."""

    def receive(**facts: Any) -> None:
        raise SystemExit("from a receiver")

    with connected(signals.task_prerun, receive):
        assert isinstance(attempted(add, 1, 2).error, SystemExit)


class connected:
    def __init__(self, signal: Any, receiver: Callable[..., None]) -> None:
        self.signal, self.receiver = signal, receiver

    def __enter__(self) -> None:
        self.signal.connect(self.receiver)

    def __exit__(self, *exc_info: object) -> None:
        self.signal.disconnect(self.receiver)


def test_error_before_the_body_is_a_failure() -> None:
    class Broken(Task):
        def before_start(self, *args: Any) -> None:
            raise LookupError("not ready")

    ended = attempted(shared_task(add.run, base=Broken, name="broken"), 1, 2)
    assert isinstance(ended.outcome, outcomes.Failure) and isinstance(ended.error, LookupError)


# What a body raises


def test_expected_errors_are_failures_that_are_logged_quietly(caplog: pytest.LogCaptureFixture) -> None:
    """TASK-3."""
    task = shared_task(fail.run, name="expecting", throws=(LookupError, ValueError))
    ended = attempted(task, "sold out")
    with caplog.at_level(logging.INFO):
        attempt.report(task, Request(id="7", task=task.name), ended)
    assert isinstance(ended.outcome, outcomes.Failure)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "expecting[7] failed as expected: ValueError: sold out")
    ]


def test_other_errors_are_logged_with_their_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """TASK-3, CALL-11."""
    attempt.report(fail, Request(id="7", task=fail.name, shadow="the monthly report"), attempted(fail, "sold out"))
    (record,) = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "the monthly report[7] failed")
    assert record.exc_text is not None and record.exc_text.startswith("Traceback")
    assert record.exc_text.endswith("ValueError: sold out")


@in_database
def test_ignored_run_leaves_nothing() -> None:
    """TASK-4."""

    @shared_task
    def body() -> None:
        raise Ignore

    result = body.delay()
    run_until_empty()
    assert not result.exists()
    with pytest.raises(ResultNotFound, match="or it was ignored"):
        result.get()


@in_database
@pytest.mark.parametrize(
    ("error", "state"), [(None, "SUCCESS"), (ValueError("no"), "FAILURE"), (Reject("no"), "FAILURE"), (Ignore(), None)]
)
def test_late_message_is_there_until_its_outcome_is(error: BaseException | None, state: str | None) -> None:
    """ACK-2."""
    during: list[Any] = []

    @shared_task(bind=True, acks_late=True)
    def body(self: Task) -> None:
        during.append(str(Message.objects.get(leased_until__isnull=False).pk))
        if error is not None:
            raise error

    result = body.delay()
    run_until_empty()
    assert during == [result.id]
    assert not Message.objects.exists()
    assert list(Result.objects.values_list("state", flat=True)) == ([state] if state else [])


@in_database
def test_rejected_message_ends_as_a_failure() -> None:
    """TASK-4."""

    @shared_task
    def body() -> None:
        raise Reject("not for me")

    result = body.delay()
    run_until_empty()
    assert result.state == "FAILURE" and result.errors[-1]["kind"] == "rejected"
    with pytest.raises(Reject, match="rejected: not for me"):
        result.get()


@in_database
def test_rejected_message_may_be_received_again() -> None:
    """TASK-4."""

    @shared_task(bind=True)
    def body(self: Task) -> int:
        if self.request.deliveries < 3:
            raise Reject("not now", requeue=True)
        return self.request.retries

    result = body.delay()
    run_until_empty()
    assert (result.get(), result.deliveries, len(result.errors)) == (0, 3, 2)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Quitting(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__


class Lying(Exception):
    __class__ = property(lambda self: 1 / 0)  # type: ignore[assignment]


class Argumentless(Exception):
    args = property(lambda self: 1 / 0)  # type: ignore[assignment]


class Elsewhere(Exception):
    __module__ = "no\0where\ud800"


def recurse() -> None:
    recurse()


def chained(length: int = 50) -> BaseException:
    error: BaseException = ValueError("first")
    for number in range(length):
        later = KeyError(number)
        later.__cause__ = error
        error = later
    return error


def circular() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def annotated() -> BaseException:
    error = ValueError("annotated")
    error.__notes__ = [Quitting(), "a\0b\ud800"]
    return error


NASTY: list[BaseException] = [
    Unspeakable(),
    Argumentless(),
    Elsewhere("x"),
    ValueError("a\0b", "\ud800", object()),
    ValueError("x" * 10_000_000),
    ExceptionGroup("several", [ValueError("a"), ExceptionGroup("more", [Unspeakable()])]),
    SystemExit(1),
    KeyboardInterrupt(),
    GeneratorExit(),
    BaseException("bare"),
    MemoryError(),
    StopIteration(7),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    chained(),
    chained(2000),
    circular(),
    annotated(),
    Quitting(),
    ExceptionGroup("wide", [ValueError(number) for number in range(1000)]),
    BaseExceptionGroup("base", [SystemExit(1), KeyboardInterrupt()]),
    SyntaxError("bad", ("file\n", 1, 1, "x" * 1_000_000)),
]


@pytest.mark.parametrize("error", NASTY, ids=lambda error: type(error).__name__)
@in_database
def test_whatever_a_body_raises_is_recorded(error: BaseException) -> None:
    """E8, E1."""

    @shared_task
    def body() -> None:
        raise error

    result = body.delay()
    run_until_empty()
    assert result.state == "FAILURE"
    assert result.errors[0]["type"].endswith(type(error).__qualname__)
    assert isinstance(result.result, Exception)
    assert len(result.errors[0]["message"].encode()) <= 8192 and len(str(result.traceback).encode()) <= 65536


@pytest.mark.parametrize("kind", [Lying, type("L" * 100_000, (Exception,), {})], ids=["lying", "long"])
@in_database
def test_exception_that_cannot_be_named_is_a_failure_all_the_same(kind: type[Exception]) -> None:
    """E8."""

    @shared_task
    def body() -> None:
        raise kind

    result = body.delay()
    run_until_empty()
    assert result.state == "FAILURE" and len(result.errors[0]["type"]) < 2000


@in_database
def test_endless_recursion_is_recorded() -> None:
    """E8."""
    result = shared_task(recurse).delay()
    run_until_empty()
    assert isinstance(result.result, RecursionError)


@pytest.mark.parametrize("error", NASTY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("how", ["throws", "retry", "reject", "ignore"])
def test_whatever_is_raised_can_be_logged(error: BaseException, how: str) -> None:
    """E8."""

    @shared_task(bind=True, throws=(BaseException,))
    def body(self: Task) -> None:
        if how == "retry":
            self.retry(exc=error)
        raise Reject(error) if how == "reject" else Ignore(error) if how == "ignore" else error

    attempt.report(body, Request(id="7", task=body.name), attempted(body))


# What a body returns


@in_database
def test_result_that_cannot_be_stored_is_a_failure_and_no_second_run() -> None:
    """RES-15, E7."""

    @shared_task(autoretry_for=(Exception,), retry_kwargs={"countdown": 0})
    def body() -> list[object]:
        happened.append(("body",))
        return [object()]

    result = body.delay()
    run_until_empty()
    assert names().count("body") == 1
    with pytest.raises(EncodeError, match=r"result\[0\] is of type builtins.object"):
        result.get()


@pytest.mark.parametrize(
    "value",
    ["a\0b", "\ud800", float("nan"), "x" * 2_000_000, 10**5000],
    ids=["NUL", "surrogate", "nan", "size", "digits"],
)
@in_database
def test_result_that_no_database_takes_is_a_failure(value: Any) -> None:
    """RES-15, E1, E2, E4."""
    result = shared_task(lambda: value, name="returning").delay()
    run_until_empty()
    assert result.state == "FAILURE" and isinstance(result.result, EncodeError)


@in_database
def test_result_that_nobody_wants_may_be_anything() -> None:
    """RES-7."""
    result = shared_task(lambda: object(), name="returning", ignore_result=True).delay()
    assert [type(each.outcome) for each in run_until_empty()] == [outcomes.Success]
    assert not result.exists()


async def later(x: int) -> int:
    return x + 1


@in_database
def test_coroutine_function_is_a_body_too() -> None:
    result = shared_task(later).delay(1)
    run_until_empty()
    assert result.get() == 2


# A message from other code


@in_database
def test_arguments_that_do_not_fit_fail_before_the_body_and_are_not_retried() -> None:
    """E10."""
    old = shared_task(lambda: None, name="renamed", typing=False).delay(1, subject="x")

    @shared_task(name="renamed.now", base=Telling, autoretry_for=(Exception,))
    def body(*, title: str) -> None:
        happened.append(("body",))

    Message.objects.update(task="renamed.now")
    run_until_empty()
    assert old.state == "FAILURE" and old.retries == 0
    with pytest.raises(TypeError, match=r"renamed\.now\(\) cannot be called like this"):
        old.get()
    assert "body" not in names() and "before_start" not in names()


@in_database
def test_type_error_of_the_body_itself_may_be_retried() -> None:
    """E10, RETRY-8."""

    @shared_task(autoretry_for=(TypeError,), max_retries=1, retry_kwargs={"countdown": 0})
    def body() -> None:
        happened.append(("body",))
        len(7)  # type: ignore[arg-type]

    body.delay()
    run_until_empty()
    assert names().count("body") == 2


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("args", "{}"),
        ("args", "not json"),
        ("args", "[" * 5000 + "]" * 5000),
        ("kwargs", "[]"),
        ("kwargs", '{"x": NaN}'),
        ("options", "[]"),
        ("options", '{"headers": 7}'),
    ],
)
@in_database
def test_row_that_was_spoilt_by_hand_fails_alone(column: str, text: str) -> None:
    """E3."""
    spoilt, other = echo.delay(), add.delay(1, 2)
    with connection.cursor() as cursor:
        where = spoilt.id if connection.vendor == "postgresql" else spoilt.id.replace("-", "")
        cursor.execute(f"UPDATE djtasks_message SET {column} = %s WHERE id = %s", [text, where])  # noqa: S608
    run_until_empty()
    assert spoilt.state == "FAILURE" and other.get() == 3


# What a body leaves behind


@in_database
def test_transaction_that_a_body_leaves_open_is_rolled_back() -> None:
    """J1."""

    @shared_task
    def body() -> None:
        transaction.atomic().__enter__()
        echo.delay("never")

    result = body.delay()
    run_until_empty()
    assert result.successful() and result.children == []
    assert not connection.in_atomic_block
