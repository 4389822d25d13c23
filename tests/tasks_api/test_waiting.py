"""The wait for an end that is still to come: who is woken, when, and what never has to wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created

from djtasks import AsyncResult
from djtasks.domain.identifiers import uuid7
from djtasks.exceptions import TimeoutError
from djtasks.models import Message
from djtasks.tasks.results.waiting import Watch, wait_until_gone
from tests.helpers_inprocess import run_one, run_until_empty
from tests.tasks_api.flows import message, send_group
from tests.tasks_api.samples import add, fail, note, retry_until

in_database = pytest.mark.django_db(transaction=True)
LONG = 60.0
Start = Callable[..., "Future[Any]"]


@pytest.fixture
def elsewhere(transactional_db: None) -> Iterator[Start]:
    """Run something in another thread, with connections of its own."""
    with ThreadPoolExecutor(1) as pool:

        def start(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
            def call() -> Any:
                try:
                    return function(*args, **kwargs)
                finally:
                    connections.close_all()

            return pool.submit(call)

        yield start


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_waiter_is_woken_long_before_its_interval(elsewhere: Start) -> None:
    """RES-4."""
    result = add.delay(1, 2)
    waiting = elsewhere(result.get, timeout=LONG, interval=LONG)
    if connection.vendor == "postgresql":
        until(lambda: Message.objects.get().awaited)
    begun = time.monotonic()
    run_until_empty()
    assert waiting.result(LONG) == 3 and time.monotonic() - begun < LONG / 4


def test_waiter_hears_of_a_failure(elsewhere: Start) -> None:
    """RES-4."""
    waiting = elsewhere(fail.delay("no").get, timeout=LONG)
    run_until_empty()
    with pytest.raises(ValueError, match="no"):
        waiting.result(LONG)


def test_waiter_outlasts_a_retry(elsewhere: Start) -> None:
    """RETRY-2."""
    waiting = elsewhere(retry_until.delay(2, countdown=60).get, timeout=LONG)
    run_until_empty()
    assert waiting.result(LONG) == 2


@pytest.mark.postgres
def test_waiter_for_a_result_that_was_not_kept_gets_none(elsewhere: Start) -> None:
    """RES-7."""
    waiting = elsewhere(AsyncResult(note.apply_async(("x",), ignore_result=True).id).get, timeout=LONG)
    until(lambda: Message.objects.get().awaited)
    run_until_empty()
    assert waiting.result(LONG) is None


def test_waiter_hears_of_a_revocation(elsewhere: Start) -> None:
    """RES-4, WORK-9."""
    result = add.delay(1, 2)
    waiting = elsewhere(result.get, timeout=LONG, propagate=False, interval=0.05)
    result.revoke()
    assert str(waiting.result(LONG)) == "revoked"


@pytest.mark.parametrize("interval", [0, 0.001, 10])
@in_database
def test_no_interval_keeps_the_time_limit_from_running_out(interval: float) -> None:
    """RES-4."""
    with pytest.raises(TimeoutError):
        add.delay(1, 2).get(timeout=0.05, interval=interval)


def test_interval_of_nothing_waits_too(elsewhere: Start) -> None:
    """RES-4."""
    waiting = elsewhere(add.delay(1, 2).get, interval=0)
    run_until_empty()
    assert waiting.result(LONG) == 3


@in_database
@pytest.mark.parametrize("joined", [False, True])
def test_what_is_short_costs_no_connection(joined: bool) -> None:
    """RES-4: but in a transaction, which may be blind to what others commit."""
    result = add.delay(1, 2)
    run_until_empty()
    opened: list[Any] = []

    def note_opened(connection: Any, **_: Any) -> None:
        opened.append(connection)

    connection_created.connect(note_opened)
    with transaction.atomic() if joined else nullcontext():
        wait_until_gone(result.id, LONG, LONG)
    connection_created.disconnect(note_opened)
    assert len(opened) == joined


# Many at once


@in_database
def test_many_are_seen_to_go_in_their_order() -> None:
    """RES-12: a batch after the other, and none before those that it comes after."""
    late, early = send_many(3), send_many(3, priority=9)
    ids = [each.id for pair in zip(early, late, strict=True) for each in pair]
    with Watch(None, 0.01) as watch:
        seen = watch.in_order(ids)
        for _ in range(3):
            run_one()
        assert next(seen) == [early[0].id]
        run_one()
        assert next(seen) == [late[0].id, early[1].id]
        run_until_empty()
        assert next(seen) == [late[1].id, early[2].id, late[2].id] and list(seen) == []


@in_database
def test_many_are_seen_to_go_as_they_do() -> None:
    """RES-12."""
    late, early = send_many(2), send_many(2, priority=9)
    with Watch(None, 0.01) as watch:
        seen = watch.as_they_come([each.id for each in (*late, *early)])
        for expected in (*early, *late):
            run_one()
            assert next(seen) == [expected.id]
        assert list(seen) == []


@in_database
def test_many_of_whom_none_is_there_are_gone() -> None:
    """RES-12."""
    ids = [str(uuid7()) for _ in range(2500)]
    with Watch(0, 0.01) as watch:
        assert [each for some in watch.in_order(ids) for each in some] == ids
        assert [each for some in watch.as_they_come(ids) for each in some] == ids
        assert list(watch.in_order([])) == list(watch.as_they_come([])) == []


@in_database
def test_watch_that_is_given_up_ends() -> None:
    """J4."""
    given_up = threading.Event()
    given_up.set()
    (one,) = send_many(1)
    with Watch(None, LONG, given_up) as watch:
        assert list(watch.in_order([one.id])) == list(watch.as_they_come([one.id])) == []


@pytest.mark.postgres
@in_database
def test_ends_of_others_wake_nobody() -> None:
    """RES-4: they are passed by until the interval is over."""
    (mine,), others = send_many(1, queue="another"), send_many(5)
    with Watch(None, 1.0) as watch:
        assert watch._wait({mine.id: None}, 1) == [mine.id]  # it listens from now on, and has to look once more
        watch._vendor.await_results([each.id for each in others])
        run_until_empty("default")
        begun = time.monotonic()
        assert watch._wait({mine.id: None}, 1) == [mine.id]
        assert time.monotonic() - begun >= 1.0
        watch._vendor.await_results([mine.id])
        run_until_empty()
        assert watch._wait({mine.id: None, others[0].id: None}, 2) == {mine.id}


@pytest.mark.postgres
@in_database
def test_who_asks_for_many_ends_waits_for_no_lock() -> None:
    """RES-12: holding some while waiting for others could deadlock."""
    one, two = send_many(2)
    with Watch(None, LONG) as watch, transaction.atomic():
        Message.objects.select_for_update().get(pk=one.id)
        watch._vendor.await_results([one.id, two.id])
        assert Message.objects.get(pk=two.id).awaited
    assert not Message.objects.get(pk=one.id).awaited


def send_many(count: int, **fields: Any) -> list[AsyncResult]:
    return list(send_group(*(message(add, n, n, **fields) for n in range(count))))


# In transactions


@pytest.mark.django_db
def test_message_that_nobody_else_can_see_is_not_waited_for() -> None:
    result = add.delay(1, 2)
    assert result.state == "PENDING"
    with pytest.raises(RuntimeError, match=f"{result.id} was sent in the transaction that is still open here"):
        result.get()


@in_database
def test_message_that_everybody_sees_may_be_waited_for_in_a_transaction() -> None:
    result = add.delay(1, 2)
    with transaction.atomic():
        if connection.vendor == "sqlite":
            with pytest.raises(
                RuntimeError, match="while the transaction that is open here lasts, no worker can write"
            ):
                result.get()
        else:
            with pytest.raises(TimeoutError):
                result.get(timeout=0.01)


@pytest.mark.postgres
def test_waiter_in_a_transaction_gets_the_value(elsewhere: Start) -> None:
    result = add.delay(1, 2)
    with transaction.atomic():
        Message.objects.count()
        elsewhere(run_until_empty)
        assert result.get(timeout=LONG) == 3


@pytest.mark.postgres
def test_end_that_an_old_snapshot_cannot_see_is_an_error(elsewhere: Start) -> None:
    result = add.delay(1, 2)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        Message.objects.count()
        elsewhere(run_until_empty).result(LONG)
        with pytest.raises(RuntimeError, match="or has ended where this cannot see it"):
            result.get(timeout=LONG)
    assert result.get() == 3


@pytest.mark.postgres
def test_end_that_comes_while_an_old_snapshot_waits_is_an_error(elsewhere: Start) -> None:
    result = add.delay(1, 2)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        Message.objects.count()

        def end() -> None:
            until(lambda: Message.objects.get().awaited)
            run_until_empty()

        elsewhere(end)
        with pytest.raises(RuntimeError, match="began before and cannot see it"):
            result.get(timeout=LONG)


# Coroutines


def test_coroutine_waits(elsewhere: Start) -> None:
    """J4."""
    result = add.delay(1, 2)
    elsewhere(run_until_empty)
    assert async_to_sync(result.aget)(timeout=LONG) == 3


@in_database
def test_coroutine_gets_errors_as_others_do() -> None:
    """J4, RES-4."""
    failed = fail.delay("no")
    run_until_empty()
    with pytest.raises(ValueError, match="no"):
        async_to_sync(failed.aget)()
    assert str(async_to_sync(failed.aget)(propagate=False)) == "no"
    with pytest.raises(TimeoutError):
        async_to_sync(add.delay(1, 2).aget)(timeout=0.01)


@pytest.mark.django_db
def test_coroutine_does_not_wait_for_what_nobody_else_can_see() -> None:
    """J4."""
    with pytest.raises(RuntimeError, match="sent in the transaction that is still open here"):
        async_to_sync(add.delay(1, 2).aget)()


@in_database
def test_coroutines_wait_beside_each_other() -> None:
    """J4."""
    results = [add.delay(n, n) for n in range(5)]

    async def wait() -> list[int]:
        waiting = asyncio.gather(*(result.aget(timeout=LONG) for result in results))
        await asyncio.to_thread(run_and_close)
        return await waiting

    assert async_to_sync(wait)() == [0, 2, 4, 6, 8]


def run_and_close() -> None:
    try:
        run_until_empty()
    finally:
        connections.close_all()


@in_database
def test_coroutine_that_gives_up_leaves_no_thread_waiting() -> None:
    """J4."""
    result = add.delay(1, 2)

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(result.aget(interval=0.02), 0.1)

    # Returns only when the threads of its event loop have ended.
    asyncio.run(in_this_threads_stead(give_up))


async def in_this_threads_stead(function: Callable[[], Any]) -> None:
    """Have Django's calls of a coroutine in one thread, and close the connections that it opens."""
    try:
        await function()
    finally:
        await sync_to_async(connections.close_all)()
