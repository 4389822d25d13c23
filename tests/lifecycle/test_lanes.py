"""Queues with pools of their own in one worker."""

from __future__ import annotations

import pytest

from djtasks.models import Worker
from tests.helpers import (
    Diary,
    all_settled,
    leased,
    messages,
    on_one_database,
    running_worker,
    settled,
    wait_until,
    why,
)
from tests.tasks import add, ahold, hold, note, note_hooked, perish

pytestmark = pytest.mark.django_db(transaction=True)
LANES = ("--pool-for", "media=threads:2", "--pool-for", "calls=eventloop:20")


def test_each_queue_runs_in_its_own_pool(diary: Diary) -> None:
    """A queue that is full holds up no other, and all are served by one worker."""
    with running_worker("--pool=processes", *LANES, concurrency=1) as worker:
        media = [hold.apply_async((diary.path, "media", diary.gate), queue="media") for _ in range(4)]
        calls = [ahold.apply_async((diary.path, "call", diary.gate), queue="calls") for _ in range(20)]
        diary.until("media", 2), diary.until("call", 20)
        assert settled(add.delay(1, 2)).value == 3
        row = Worker.objects.get()
        assert (row.pool, row.slots, row.pid) == ("processes", 23, worker.pid)
        pids = {word: {pid for written, pid in diary.lines() if written == word} for word in ("media", "call")}
        assert len(pids["media"]) == len(pids["call"]) == 1 and not pids["media"] & pids["call"]
        diary.open_gate()
        assert {result.state for result in all_settled([*media, *calls])} == {"SUCCESS"}
        assert worker.stop() == 0 and leased() == 0


@on_one_database
def test_lanes_keep_leases_limits_losses_and_hooks(diary: Diary) -> None:
    """A6, WORK-3, ACK-1: beside the main pool as in it."""
    with running_worker("--pool=threads", "--pool-for", "media=processes:2", concurrency=1) as worker:
        long = hold.apply_async((diary.path, "long", diary.gate), queue="media", acks_late=True)
        limited = hold.apply_async((diary.path, "limited", "a closed gate"), queue="media", time_limit=0.5)
        assert why(settled(limited)) == "TimeLimitExceeded"
        assert why(settled(perish.apply_async((diary.path, "lost", "exit"), queue="media"))) == "WorkerLostError"
        note_hooked.apply_async((diary.path, "hooked"), queue="media")
        diary.until("hooked on_success")
        # Longer than the lease.
        since = messages().get().leased_until
        wait_until(lambda: (messages().get().leased_until - since).total_seconds() > 3)
        diary.open_gate()
        assert settled(long).deliveries == 1 and "lease lost" not in worker.log


@on_one_database
def test_settings_name_pools_for_queues_and_burst_waits_for_all(diary: Diary) -> None:
    waiting = [note.apply_async((diary.path, queue), queue=queue) for queue in ("media", "default") for _ in range(3)]
    with running_worker("--burst", concurrency=1, WORKER_POOL_FOR={"media": "threads:2", "x": "threads:1"}) as worker:
        assert worker.wait() == 0
    all_settled(waiting)
    assert "threads, 2 at a time, for media" in worker.log
    assert len({pid for word, pid in diary.lines()}) == 2


@on_one_database
def test_stopping_worker_gives_back_what_its_lanes_hold(diary: Diary) -> None:
    """F4, WORK-8: at once what has not begun, after the grace what has not ended."""
    with running_worker(*LANES, "--grace=0.5", concurrency=1) as worker:
        late = hold.apply_async((diary.path, "late", diary.gate), queue="media", acks_late=True)
        early = hold.apply_async((diary.path, "early", diary.gate), queue="media")
        diary.until("late"), diary.until("early")
        assert worker.stop() == 0
    assert why(settled(early)) == "WorkerLostError"
    assert messages().get(pk=late.id).leased_until is None
