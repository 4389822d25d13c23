"""What is queued runs inside the transaction of the test as it would in a worker (J1, J2, J3)."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import TestCase

from djtasks import Task, chain, chord, group, send_task, shared_task, signals
from djtasks.exceptions import EncodeError, Ignore, Reject, WorkerLostError
from djtasks.models import Message, Result
from djtasks.testing import adrain, drain, run_pending, travel
from djtasks.testing.inline import InlineWorker
from tests.helpers_inprocess import private
from tests.tasks_api.samples import add, echo, fail, note, ran, retry_until

pytestmark = pytest.mark.django_db

in_both = pytest.mark.parametrize(
    "inside",
    [
        pytest.param(True, marks=pytest.mark.django_db),
        pytest.param(False, marks=pytest.mark.django_db(transaction=True)),
    ],
)


@contextmanager
def listening(signal: signals.Signal, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver)
    yield
    signal.disconnect(receiver)


def names() -> list[str]:
    return sorted(Group.objects.values_list("name", flat=True))


# What runs


def test_message_is_reserved_run_and_settled() -> None:
    result = add.delay(1, 2)
    [delivery] = drain()
    assert (delivery.id, delivery.task, delivery.number) == (result.id, add.name, 1)
    assert (delivery.state, delivery.error, delivery.result.get()) == ("SUCCESS", None, 3)
    record = Result.objects.get()
    assert record.enqueued_at <= record.started_at <= record.finished_at
    assert not Message.objects.exists() and record.deliveries == 1


@pytest.mark.django_db(transaction=True)
def test_message_is_run_where_data_is_committed_as_well() -> None:
    result = add.delay(1, 2)
    drain()
    assert result.get() == 3


def test_nothing_is_drained_from_an_empty_queue() -> None:
    assert drain() == []


def test_workflow_is_drained_to_its_end() -> None:
    line = chain(add.s(1, 1), add.s(2), add.s(3)).delay()
    members = group(add.s(1, 1), add.s(2, 2)).delay()
    both = chord([add.s(number, 1) for number in range(3)], echo.s()).delay()
    assert len(drain()) == 9
    assert (line.get(), members.get(), both.get()) == (7, [2, 4], [[[1, 2, 3]], {}])


def test_what_a_body_sends_is_drained_as_well() -> None:
    @shared_task
    def countdown(number: int) -> None:
        note.delay(number)
        if number:
            countdown.delay(number - 1)

    countdown.delay(2)
    assert len(drain()) == 6 and sorted(ran) == [0, 1, 2]


def test_higher_priorities_run_first() -> None:
    for priority in (1, 3, 2):
        note.apply_async((priority,), priority=priority)
    drain()
    assert ran == [3, 2, 1]


def test_what_has_waited_too_long_goes_before_higher_priorities(settings: Any) -> None:
    settings.DJTASKS = {"PRIORITY_AGEING_SECONDS": 60}
    note.apply_async(("old",), priority=1)
    with travel(3600):
        note.apply_async(("new",), priority=9)
        drain()
    assert ran == ["old", "new"]


def test_queue_may_be_named() -> None:
    for queue in ("mail", "media", "default"):
        note.apply_async((queue,), queue=queue)
    drain("mail")
    assert ran == ["mail"]
    drain(["media", "mail"])
    assert ran == ["mail", "media"]


def test_what_is_due_may_be_run_alone() -> None:
    result = chain(add.s(1, 1), add.s(2), add.s(3)).delay()
    assert [len(run_pending(until_empty=False)) for _ in range(4)] == [1, 1, 1, 0]
    assert result.get() == 7


def test_there_is_an_end_to_what_has_none() -> None:
    @shared_task(name="again")
    def again() -> None:
        again.delay()

    again.delay()
    with pytest.raises(AssertionError, match=r"no end to it: 10 messages were run, the last ones again SUCCESS"):
        drain(at_most=10)


def test_unknown_task_is_left_to_a_worker_that_knows_it() -> None:
    """CALL-8."""
    send_task("not.here")
    [delivery] = drain()
    assert delivery.state == "PENDING" and Message.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_message_that_somebody_has_locked_for_a_moment_is_waited_for() -> None:
    result = add.delay(1, 2)
    with private() as elsewhere:
        elsewhere.connection.set_autocommit(False)
        elsewhere.connection.cursor().execute("SELECT id FROM djtasks_message FOR UPDATE")

        def let_go(execute: Callable[..., Any], *call: Any) -> Any:
            elsewhere.connection.rollback()
            return execute(*call)

        # What reserves goes to the driver itself; by the first statement of the ORM the message has been passed by.
        with connection.execute_wrapper(let_go):
            drain()
    assert result.state == "SUCCESS"


# Delays


def test_delayed_message_waits() -> None:
    note.apply_async((1,), countdown=60)
    assert drain() == [] and ran == []


def test_retry_waits() -> None:
    retry_until.delay(1, countdown=60)
    assert [each.state for each in drain()] == ["RETRY"]
    assert Message.objects.get().retries == 1


def test_retry_that_is_due_runs() -> None:
    result = retry_until.delay(2)
    assert [each.state for each in drain()] == ["RETRY", "RETRY", "SUCCESS"] and result.get() == 2


def test_time_passes_for_what_is_delayed_in_the_order_in_which_it_comes_due() -> None:
    for minutes in (10, 5):
        note.apply_async((minutes,), countdown=60 * minutes)
    result = retry_until.delay(1, countdown=7 * 60)
    drain(delayed=True)
    assert ran == [5, 10] and result.get() == 1


def test_what_is_left_has_as_long_to_wait_as_before() -> None:
    note.apply_async((1,), countdown=60)
    note.apply_async((2,), countdown=60, queue="mail")
    before = Message.objects.get(queue="mail").due_at
    drain("default", delayed=True)
    assert ran == [1] and Message.objects.get().due_at == before


# Errors


def test_error_of_a_task_is_raised_in_the_end() -> None:
    fail.delay("first")
    note.delay("second")
    with pytest.raises(ValueError, match="first") as caught:
        drain()
    assert ran == ["second"]
    assert "in fail" in "".join(traceback.format_tb(caught.value.__traceback__))
    [told] = caught.value.__notes__
    assert told.startswith("in tests.tasks_api.samples.fail[") and told.endswith("], delivery 1")


def test_several_errors_are_raised_in_a_group() -> None:
    for text in ("one", "two"):
        fail.delay(text)
    with pytest.raises(ExceptionGroup, match="2 tasks failed") as caught:
        drain()
    assert [str(error) for error in caught.value.exceptions] == ["one", "two"]


def test_errors_may_be_looked_at_instead() -> None:
    result = fail.delay("no")
    [delivery] = drain(propagate=False)
    assert isinstance(delivery.error, ValueError) and delivery.state == result.state == "FAILURE"


@pytest.mark.parametrize("error", [Ignore(), Reject("bad")])
def test_word_to_the_worker_is_no_error(error: Exception) -> None:
    @shared_task
    def body() -> None:
        raise error

    body.delay()
    assert len(drain()) == 1


def test_error_that_no_body_has_raised_is_made_anew() -> None:
    shared_task(lambda: object(), name="returning").delay()
    with pytest.raises(EncodeError, match="result is of type"):
        drain()


def test_error_whose_class_nobody_else_can_load_is_raised_as_it_is() -> None:
    class OutOfStock(Exception): ...

    @shared_task
    def body() -> None:
        raise OutOfStock

    body.delay()
    with pytest.raises(OutOfStock):
        drain()


def test_error_of_a_retried_task_is_raised_when_it_gives_up() -> None:
    @shared_task(autoretry_for=(OSError,), max_retries=1, retry_kwargs={"countdown": 0})
    def body() -> None:
        raise OSError("the line is dead")

    body.delay()
    with pytest.raises(OSError, match="the line is dead") as caught:
        drain()
    assert "delivery 2" in caught.value.__notes__[0]


# The transaction of the test


def test_refused_statement_of_a_body_spoils_nothing_else() -> None:
    """J1."""

    @shared_task
    def body() -> None:
        Group.objects.create(name="twice")
        Group.objects.create(name="twice")

    body.delay()
    note.delay("after it")
    with pytest.raises(IntegrityError):
        drain()
    assert ran == ["after it"] and names() == []


def test_body_that_deals_with_its_error_succeeds() -> None:
    @shared_task
    def body() -> str:
        Group.objects.create(name="one")
        try:
            with transaction.atomic():
                Group.objects.create(name="one")
        except IntegrityError:
            return "known"
        return "new"

    result = body.delay()
    drain()
    assert result.get() == "known" and names() == ["one"]


def test_what_a_body_has_written_before_it_fails_stays() -> None:
    @shared_task
    def body() -> None:
        Group.objects.create(name="kept")
        with transaction.atomic():
            Group.objects.create(name="undone")
            raise ValueError

    body.delay()
    drain(propagate=False)
    assert names() == ["kept"]


def test_transaction_that_is_marked_for_rollback_is_undone_alone() -> None:
    @shared_task
    def body() -> None:
        Group.objects.create(name="undone")
        with transaction.atomic(savepoint=False):
            raise ValueError

    body.delay()
    drain(propagate=False)
    assert names() == [] and not connection.needs_rollback


@in_both
def test_what_a_body_leaves_for_after_its_commit_is_done(inside: bool) -> None:
    """J2."""

    @shared_task
    def body() -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: note.delay("committed"))
            transaction.on_commit(lambda: ran.append("first"))

    body.delay()
    drain()
    assert ran == ["first", "committed"]


def test_what_waits_for_a_commit_that_never_comes_is_not_done() -> None:
    """J2."""

    @shared_task
    def body() -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: ran.append("never"))
            raise ValueError

    body.delay()
    drain(propagate=False)
    assert ran == []


def test_error_after_the_commit_is_the_tasks() -> None:
    """J2."""

    @shared_task
    def body() -> None:
        transaction.on_commit(lambda: 1 / 0)

    result = body.delay()
    with pytest.raises(ZeroDivisionError):
        drain()
    assert result.state == "FAILURE"


def test_what_the_test_leaves_for_its_commit_is_its_own(django_capture_on_commit_callbacks: Any) -> None:
    """J2."""

    @shared_task
    def body() -> None:
        transaction.on_commit(lambda: ran.append("of the body"))

    with django_capture_on_commit_callbacks() as callbacks:
        transaction.on_commit(lambda: ran.append("of the test"))
        body.delay()
        drain()
        assert ran == ["of the body"]
    assert len(callbacks) == 1


@in_both
def test_connection_of_the_test_stays_as_it_is(inside: bool) -> None:
    """J1, J3."""
    add.delay(1, 2)
    before = connection.connection
    drain()
    assert connection.connection is before and connection.in_atomic_block is inside


@pytest.mark.django_db(transaction=True)
def test_transaction_that_a_body_leaves_open_is_rolled_back() -> None:
    """J1."""

    @shared_task
    def body() -> None:
        transaction.set_autocommit(False)
        Group.objects.create(name="left open")

    body.delay()
    drain()
    assert names() == [] and connection.get_autocommit()


# As in a worker


@pytest.mark.parametrize("late", [True, False])
def test_message_that_lost_its_worker_is_judged(late: bool) -> None:
    """ACK-3."""
    shared_task(note.run, name="note", acks_late=late).delay(1)
    first = InlineWorker()
    assert first.reserve()
    first.die()
    [delivery] = drain(propagate=False)
    assert (ran, type(delivery.error)) == (([1], type(None)) if late else ([], WorkerLostError))


def test_hooks_and_signals_come_once_the_end_is_recorded() -> None:
    """TASK-2."""

    class Telling(Task):
        def on_success(self, value: Any, task_id: str, *args: Any) -> None:
            ran.append(Result.objects.get(pk=task_id).state)

    shared_task(lambda: None, name="telling", base=Telling).delay()
    drain()
    assert ran == ["SUCCESS"]


def test_end_that_no_body_tells_is_told_here_and_now() -> None:
    """J3: in no thread, which would not see what the test has written."""
    told: list[Any] = []

    def listen(**facts: Any) -> None:
        told.append((threading.current_thread(), Result.objects.get().state))

    before = threading.enumerate()
    add.apply_async((1, 2), expires=-1)
    with listening(signals.task_revoked, listen):
        drain()
    assert told == [(threading.current_thread(), "REVOKED")] and threading.enumerate() == before


def test_refused_statement_of_a_hook_spoils_nothing_else() -> None:
    """TASK-2."""

    class Telling(Task):
        def on_success(self, *args: Any) -> None:
            for _ in range(2):
                Group.objects.create(name="twice")

    result = shared_task(lambda: None, name="telling", base=Telling).delay()
    drain()
    assert result.state == "SUCCESS" and names() == []


def test_receipt_is_told() -> None:
    told: list[str] = []

    def listen(request: Any, **facts: Any) -> None:
        told.append(request.id)

    result = add.delay(1, 2)
    with listening(signals.task_received, listen):
        drain()
    assert told == [result.id]


def test_outcome_of_a_message_that_is_lost_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """C1."""

    class Telling(Task):
        def on_success(self, *args: Any) -> None:
            ran.append("told")

    lose = shared_task(lambda: Message.objects.update(deliveries=7), name="lose", base=Telling)
    result = lose.delay()
    drain()
    assert ran == [] and result.state != "SUCCESS"
    assert f"lease lost: lose[{result.id}] delivery 1" in caplog.messages


def test_message_that_is_revoked_before_it_begins_does_not() -> None:
    """WORK-9."""
    result = note.delay(1)
    worker = InlineWorker()
    [message] = worker.reserve(begin=False)
    assert result.revoke() == "revoked"
    worker.deliver(message)
    assert result.state == "REVOKED" and ran == []


def test_state_of_its_own_is_seen_while_a_task_runs() -> None:
    @shared_task(bind=True)
    def body(self: Task) -> None:
        self.update_state(state="FETCHING", meta={"page": 1})
        ran.append((result.state, result.info))

    result = body.delay()
    drain()
    assert ran == [("FETCHING", {"page": 1})]


def test_body_gets_what_json_makes_of_its_arguments() -> None:
    """MON-3."""
    result = echo.delay((1, 2), x={3})
    drain()
    assert result.get() == [[[1, 2]], {"x": {3}}]


# Coroutines


def test_coroutine_uses_the_connection_of_the_test() -> None:
    """J4."""

    @shared_task
    async def body() -> int:
        await Group.objects.acreate(name="from a coroutine")
        return await Group.objects.acount()

    Group.objects.create(name="from the test")
    result = body.delay()
    drain()
    assert result.get() == 2


def test_refused_statement_of_a_coroutine_spoils_nothing_else() -> None:
    """J4."""

    @shared_task
    async def body() -> None:
        for _ in range(2):
            await Group.objects.acreate(name="twice")

    body.delay()
    with pytest.raises(IntegrityError):
        drain()
    assert names() == []


class ATestCase(TestCase):
    async def test_may_be_a_coroutine(self) -> None:
        """J4."""
        result = await add.adelay(1, 2)
        await adrain()
        self.assertEqual(await result.aget(), 3)

    def test_takes_durable_blocks_for_outermost_ones(self) -> None:
        @shared_task
        def body() -> None:
            with transaction.atomic(durable=True):
                Group.objects.create(name="durable")

        body.delay()
        drain()
        self.assertEqual(names(), ["durable"])


def test_caches_serve_bodies_as_usual() -> None:
    @shared_task
    def body() -> None:
        cache.set("key", "value")

    body.delay()
    drain()
    assert cache.get("key") == "value"
