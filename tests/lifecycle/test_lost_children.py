"""The death of a pool process: A2, A4.

The lease is a minute long, so that whatever is seen within seconds was not seen by a lapse.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.helpers import Diary, all_settled, each_pool, on_one_database, running_worker, settled, wait_until, why
from tests.tasks import hold, hold_late, note, note_late, perish, perish_late

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = {"LEASE_SECONDS": 60}


@pytest.mark.parametrize(("pool", "way"), [("processes", "killed"), ("processes", "exit"), ("threads", "crash")])
@on_one_database
def test_body_that_ends_its_process_is_seen_at_once(diary: Diary, pool: str, way: str) -> None:
    """A2: an early message ends as lost and never runs again; its slot is free for the next."""
    lost = perish.delay(diary.path, "lost", way)
    with running_worker(f"--pool={pool}", **MINUTE):
        result = settled(lost)
        assert why(result) == "WorkerLostError"
        assert result.error["message"].startswith("pool process")
        assert {next.state for next in all_settled([note.delay(diary.path, "next") for _ in range(4)])} == {"SUCCESS"}
    assert diary.counts() == {"lost": 1, "next": 4}


@each_pool
def test_killed_pool_process_is_replaced(diary: Diary, pool: str) -> None:
    """A2: its late message runs in another one, its early one is lost, the others' go on."""
    early, late = hold.delay(diary.path, "early", diary.gate), hold_late.delay(diary.path, "late", diary.gate)
    with running_worker(f"--pool={pool}", **MINUTE) as worker:
        diary.until("early")
        before, victim = len(worker.children()), diary.until("late")
        os.kill(victim, signal.SIGKILL)
        diary.until("late", times=2)
        diary.open_gate()
        again = settled(late)
        assert (again.state, again.deliveries, again.losses) == ("SUCCESS", 2, 1)
        assert f"pool process {victim} was killed by signal 9" in again.errors[0]["message"]
        assert (settled(early).error is None) is (pool == "processes")
        wait_until(lambda: victim not in worker.children() and len(worker.children()) >= before)


@on_one_database
def test_idle_pool_process_that_is_killed_is_replaced(diary: Diary) -> None:
    """A2: and nothing was in it."""
    with running_worker(**MINUTE) as worker:
        assert settled(note.delay(diary.path, "first")).state == "SUCCESS"
        before = worker.children()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(worker.children()) == 2 and not set(before) & set(worker.children()))
        assert {result.state for result in all_settled([note.delay(diary.path, "next") for _ in range(4)])} == {
            "SUCCESS"
        }


@each_pool
def test_poison_pill_ends_after_max_deliveries_and_harms_nobody(diary: Diary, pool: str) -> None:
    """A4: every delivery that was lost is listed in errors, and no innocent message is lost."""
    before = [note_late.delay(diary.path, "innocent") for _ in range(50)]
    pills = [perish_late.delay(diary.path, f"pill {number}", "killed") for number in range(2)]
    after = [note_late.delay(diary.path, "innocent") for _ in range(50)]
    with running_worker(f"--pool={pool}", MAX_DELIVERIES=3, **MINUTE):
        for number, pill in enumerate(all_settled(pills)):
            assert why(pill) == "WorkerLostError"
            assert [error["kind"] for error in pill.errors] == ["lost", "lost", "failure"]
            assert (pill.losses, "worker_lost x3" in pill.error["message"]) == (2, True)
            # Threads share their process: one pill may take another along that had not begun.
            assert diary.counts()[f"pill {number}"] == 3 or (pool == "threads" and diary.has(f"pill {number}"))
        assert {result.state for result in all_settled(before + after)} == {"SUCCESS"}
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"


@on_one_database
def test_early_messages_beside_a_poison_pill_run_once(diary: Diary) -> None:
    """A4, A2: in the pool of processes nothing dies with a pill but itself."""
    innocents = []
    for number in range(40):
        innocents += [note.delay(diary.path, f"early {number}"), note_late.delay(diary.path, f"late {number}")]
        if number in (5, 25):
            perish_late.delay(diary.path, "pill", "exit")
    with running_worker(**MINUTE):
        assert {result.state for result in all_settled(innocents)} == {"SUCCESS"}
    assert {word: count for word, count in diary.counts().items() if count != 1 and word != "pill"} == {}


def test_poison_pill_that_kills_its_whole_worker_ends(diary: Diary) -> None:
    """A4, A1: with every body in the supervisor's own process, each delivery costs a worker and a lease."""
    pill = perish_late.delay(diary.path, "pill", "exit")
    for times in (1, 2):
        with running_worker("--pool=solo", LEASE_SECONDS=1, MAX_DELIVERIES=2) as worker:
            diary.until("pill", times)
            assert worker.wait() == 9
    with running_worker("--pool=solo", LEASE_SECONDS=1, MAX_DELIVERIES=2):
        result = settled(pill)
    assert why(result) == "WorkerLostError"
    assert [error["kind"] for error in result.errors] == ["lost", "lost", "failure"]
    assert diary.counts() == {"pill": 2}
