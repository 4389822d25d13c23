"""A worker that comes back after another has taken over: A5, A6, A14; G4."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest
from django.db.models import F

from djtasks import send_task
from djtasks.broker.vendors import shared_vendor
from djtasks.models import Worker
from tests.helpers import Diary, each_pool, messages, on_one_database, running_worker, settled, wait_until, why
from tests.tasks import die, hog, hold, hold_hooked, note, note_when_lost

pytestmark = pytest.mark.django_db(transaction=True)


def test_stale_holder_writes_nothing(diary: Diary) -> None:
    """A5, G4: its outcomes are refused, its hooks do not run, it says that the lease was lost, and it works on."""
    early = hold.delay(diary.path, "early", diary.gate)
    late = hold_hooked.delay(diary.path, "late", diary.gate)
    with running_worker() as zombie:
        diary.until("early"), diary.until("late")
        zombie.pause()
        diary.open_gate()
        with running_worker("--pool=solo") as other:
            lost, again = settled(early), settled(late)
            diary.until("late on_success")
            assert other.stop() == 0
        zombie.resume()
        zombie.logs(f"lease lost: tests.tasks.hold[{early.id}] delivery 1")
        zombie.logs(f"lease lost: tests.tasks.hold_hooked[{late.id}] delivery 1")
        next = [note.delay(diary.path, "next") for _ in range(4)]
        assert [settled(handle).worker for handle in next] != [again.worker] * 4
        assert zombie.stop() == 0
    assert (settled(early).finished_at, why(settled(early))) == (lost.finished_at, "WorkerLostError")
    assert (settled(late).worker, settled(late).deliveries) == (again.worker, 2)
    assert diary.counts()["late on_success"] == 1


@each_pool
def test_outcome_that_waited_too_long_is_refused(diary: Diary, pool: str) -> None:
    """A5: the body ends while the supervisor is stalled, and is settled by others before it hears of that."""
    late = hold_hooked.delay(diary.path, "late", diary.gate)
    with running_worker(f"--pool={pool}", concurrency=1) as zombie:
        diary.until("late")
        os.kill(zombie.pid, signal.SIGSTOP)
        diary.open_gate()
        diary.until("late ended")
        with running_worker("--pool=solo") as other:
            again = settled(late)
            diary.until("late on_success")
            assert other.stop() == 0
        zombie.resume()
        zombie.logs(f"lease lost: tests.tasks.hold_hooked[{late.id}] delivery 1")
        # The slot is not lost with the lease: the child waits for word whether its outcome was written.
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
        assert zombie.stop() == 0
    assert settled(late).worker == again.worker
    assert diary.counts() == {"late": 2, "late ended": 2, "late on_success": 1, "next": 1}


@on_one_database
def test_body_that_holds_the_interpreter_keeps_its_lease(diary: Diary) -> None:
    """A6: leases are renewed from another process than the body's."""
    hogging = hog.delay(diary.path, "hog", 8.5)
    with running_worker(concurrency=1, LEASE_SECONDS=4):
        diary.until("hog")
        with running_worker("--pool=solo", LEASE_SECONDS=4):
            result = settled(hogging)
    assert (result.state, result.deliveries, diary.counts()["hog"]) == ("SUCCESS", 1, 1)


@on_one_database
def test_workers_that_were_stalled_together_do_not_take_from_each_other(diary: Diary) -> None:
    """A14: after the pause of a whole host every lease has run out, and each holder gets the time to renew its own."""
    early = [hold.delay(diary.path, f"early {number}", diary.gate) for number in range(2)]
    # A lease is long enough that they are stopped, and wake up, within the same one, also where the machine is busy.
    with running_worker(LEASE_SECONDS=8) as first, running_worker(LEASE_SECONDS=8) as second:
        for number in range(2):
            diary.until(f"early {number}")
        wait_until(lambda: Worker.objects.count() == 2)
        for worker in (first, second):
            worker.pause()
        # A stall is told from a slow moment by its length: half a lease.
        wait_until(lambda: lapsed(since=timedelta(seconds=4)) == 2)
        for worker in (first, second):
            worker.resume()
        wait_until(lambda: lapsed() == 0)
        diary.open_gate()
        assert [settled(handle).state for handle in early] == ["SUCCESS"] * 2


def lapsed(since: timedelta = timedelta(0)) -> int:
    """Count the leases that have run out so long ago."""
    return int(messages().filter(leased_until__lt=shared_vendor().now() - since).count())


@on_one_database
def test_body_in_a_thread_can_see_that_its_message_is_lost(diary: Diary) -> None:
    """A5: a process is ended, but a thread can only be told."""
    handle = note_when_lost.delay(diary.path, "body")
    with running_worker("--pool=threads") as worker:
        diary.until("body")
        messages().filter(pk=handle.id).update(deliveries=F("deliveries") + 1, leased_until=None, due_at=None)
        diary.until("body was told")
        worker.logs("lease lost")
    assert messages().get(pk=handle.id).deliveries == 2


@on_one_database
def test_listeners_hear_of_messages_that_never_ran(diary: Diary) -> None:
    """CALL-4, CALL-8, A4: expired, unknown, and lost with its worker."""
    note.apply_async((diary.path, "late"), expires=-1)
    send_task("tests.tasks.nobody")
    die.delay()
    with running_worker(concurrency=1, UNKNOWN_TASK_GRACE=0, environment={"DJTASKS_TEST_DIARY": diary.path}):
        diary.until("revoked True"), diary.until("unknown tests.tasks.nobody")
        diary.until("failed WorkerLostError")
