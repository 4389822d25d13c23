"""Workers that are told to stop: A8, A9, F4; mission 9."""

from __future__ import annotations

import random
import signal
import time

import pytest

from djtasks.models import Worker
from tests.helpers import (
    Diary,
    all_settled,
    drain,
    leased,
    messages,
    on_one_database,
    results,
    running_worker,
    settled,
    wait_until,
    why,
)
from tests.tasks import hold, hold_late, note, note_hooked, note_late, note_when_stopping

pytestmark = pytest.mark.django_db(transaction=True)


def test_running_end_in_peace_and_unstarted_go_back_at_once(diary: Diary) -> None:
    """A8: nothing is reserved any more, what runs is settled, the exit status is 0."""
    quick = [note_late.delay(diary.path, "quick") for _ in range(200)]
    with running_worker(concurrency=1) as worker:
        all_settled(quick)
        running = hold_late.delay(diary.path, "running", diary.gate)
        ahead = [note_late.delay(diary.path, "ahead") for _ in range(50)]
        diary.until("running")
        worker.signal()
        wait_until(lambda: leased() == 1, what="only what runs is held")
        assert messages().filter(losses=0, started_at=None, pk__in=[handle.id for handle in ahead]).count() == 50
        diary.open_gate()
        assert settled(running).state == "SUCCESS"
        assert worker.wait() == 0
    assert (leased(), messages().count(), Worker.objects.count()) == (0, 50, 0)
    assert "ahead" not in diary.counts()


@pytest.mark.parametrize(("pool", "grace"), [("processes", "0.3"), pytest.param("threads", "0", marks=on_one_database)])
def test_what_outlasts_the_grace_is_decided(diary: Diary, pool: str, grace: str) -> None:
    """A8, WORK-8: late messages go back uncharged, early ones are lost, and no body outlives its message."""
    early, late = hold.delay(diary.path, "early", diary.gate), hold_late.delay(diary.path, "late", diary.gate)
    with running_worker(f"--grace={grace}", f"--pool={pool}") as worker:
        diary.until("early"), diary.until("late")
        assert worker.stop() == 0
    assert why(settled(early)) == "WorkerLostError"
    row = messages().get(pk=late.id)
    assert (row.leased_until, row.started_at, row.losses, row.errors) == (None, None, 0, [])
    diary.open_gate()
    drain("--pool=solo")
    assert (settled(late).state, diary.counts()["early ended"]) == ("SUCCESS", 0)


@on_one_database
@pytest.mark.parametrize("busy", [False, True])
def test_worker_with_nothing_left_to_do_ends_at_once(diary: Diary, busy: bool) -> None:
    """WORK-6: not when it would have looked for messages next."""
    with running_worker(concurrency=1, POLL_SECONDS=600, LEASE_SECONDS=900) as worker:
        if busy:
            handle = hold.delay(diary.path, "body", diary.gate)
            diary.until("body")
            worker.signal()
            worker.logs("stopping: 1 messages are held")
            diary.open_gate()
            assert settled(handle).state == "SUCCESS"
            assert worker.wait() == 0
        else:
            wait_until(worker.children)
            assert worker.stop() == 0


@on_one_database
def test_second_signal_ends_at_once(diary: Diary) -> None:
    """A8: and still what is held is released, and the status is 0."""
    late = hold_late.delay(diary.path, "late", diary.gate)
    with running_worker("--grace=600", concurrency=1) as worker:
        diary.until("late")
        worker.signal(signal.SIGINT)
        worker.logs("stopping: 1 messages are held, up to 600s of grace")
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    row = messages().get(pk=late.id)
    assert (row.leased_until, row.losses) == (None, 0)


@on_one_database
def test_bodies_can_see_that_the_worker_is_stopping(diary: Diary) -> None:
    """A8."""
    handle = note_when_stopping.delay(diary.path, "body")
    with running_worker(concurrency=1) as worker:
        diary.until("body")
        assert worker.stop() == 0
    assert settled(handle).state == "SUCCESS"
    assert diary.has("body was told")


@pytest.mark.parametrize("way", ["signal", "burst"])
@on_one_database
def test_hooks_of_the_last_task_run_before_the_end(diary: Diary, way: str) -> None:
    """A8, TASK-2: a run is over when its hooks are, not when it is settled."""
    note_hooked.delay(diary.path, "last")
    with running_worker(*(["--burst"] if way == "burst" else []), concurrency=1) as worker:
        wait_until(lambda: results().exists())
        assert (worker.stop() if way == "signal" else worker.wait()) == 0
    assert diary.counts() == {"last": 1, "last on_success": 1}


@on_one_database
def test_idle_worker_stops(diary: Diary) -> None:
    """A8: also while its pool is still being made."""
    with running_worker("--grace=600", concurrency=1) as worker, running_worker("--grace=600", "--pool=solo") as solo:
        wait_until(lambda: Worker.objects.count() == 2)
        for each in (worker, solo):
            assert each.stop() == 0
    assert Worker.objects.count() == 0


def test_signals_at_random_leave_nothing_behind(diary: Diary) -> None:
    """A9, F4: no stuck row, no body that ran twice, no exit status but 0."""
    handles = []
    for number in range(100):
        handles += [
            note.delay(diary.path, f"early {number}", 0.01),
            note_late.delay(diary.path, f"late {number}", 0.01),
        ]
    for _ in range(4):
        if results().count() == len(handles):
            break
        before = results().count()
        with running_worker() as worker:
            wait_until(lambda before=before: results().count() > before or not messages().exists())
            time.sleep(random.uniform(0, 0.3))
            assert worker.stop() == 0
        assert leased() == 0
    drain("--pool=solo")
    assert {result.state for result in all_settled(handles)} == {"SUCCESS"}
    assert set(diary.counts().values()) == {1}


@on_one_database
def test_cold_end_decides_at_once(diary: Diary) -> None:
    """WORK-6, WORK-8: QUIT waits for nothing; late messages go back uncharged, early ones are lost."""
    early, late = hold.delay(diary.path, "early", diary.gate), hold_late.delay(diary.path, "late", diary.gate)
    with running_worker("--grace=600") as worker:
        diary.until("early"), diary.until("late")
        worker.signal(signal.SIGQUIT)
        assert worker.wait() == 0
    assert why(settled(early)) == "WorkerLostError"
    row = messages().get(pk=late.id)
    assert (row.leased_until, row.losses) == (None, 0)


@on_one_database
def test_soft_end_lets_what_runs_end_for_a_while(diary: Diary) -> None:
    """WORK-7: and takes nothing new meanwhile."""
    late = hold_late.delay(diary.path, "late", diary.gate)
    with running_worker("--grace=600", concurrency=1, WORKER_SOFT_SHUTDOWN_TIMEOUT=600) as worker:
        diary.until("late")
        worker.signal(signal.SIGQUIT)
        worker.logs("stopping: 1 messages are held")
        next_one = note.delay(diary.path, "next")
        diary.open_gate()
        assert worker.wait() == 0
    assert settled(late).state == "SUCCESS"
    assert messages().filter(pk=next_one.id).exists() and "next" not in diary.counts()
