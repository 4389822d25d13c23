"""The death of a whole worker: A1, A3, A11, A12; G2, G3."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from djtasks import Task
from djtasks.models import Result, Worker
from tests.helpers import (
    Diary,
    all_settled,
    each_pool,
    is_running,
    messages,
    on_one_database,
    running_worker,
    settled,
    wait_until,
    why,
)
from tests.tasks import hog_late, hold, hold_late, note, note_late

pytestmark = pytest.mark.django_db(transaction=True)


def until_begun_anew(result: Result) -> float:
    """Return the seconds from the end of the lost lease to the new beginning."""
    lapsed_at = datetime.fromisoformat(result.errors[0]["failed_at"])
    assert result.errors[0]["kind"] == "lost" and result.started_at
    return (result.started_at - (lapsed_at if lapsed_at.tzinfo else lapsed_at.replace(tzinfo=UTC))) / timedelta(
        seconds=1
    )


@each_pool
def test_messages_of_a_killed_worker_are_dealt_with_by_another(diary: Diary, pool: str) -> None:
    """A1, G2, G3: a late one runs again within L + 2R, an early one never does; both have one final state."""
    early, late = hold.delay(diary.path, "early", diary.gate), hold_late.delay(diary.path, "late", diary.gate)
    with running_worker(f"--pool={pool}") as first:
        diary.until("early"), diary.until("late")
        with running_worker("--pool=solo"):
            first.kill()
            diary.open_gate()
            lost, again = settled(early), settled(late)
    assert why(lost) == "WorkerLostError"
    assert (again.state, again.deliveries, again.losses) == ("SUCCESS", 2, 1)
    assert diary.counts() == {"early": 1, "late": 2, "late ended": 1}
    # L is in the lapse; R is at most 1.2 POLL_SECONDS, the rest is for a machine under load.
    assert 0 <= until_begun_anew(again) < 3


@on_one_database
def test_messages_reserved_ahead_are_not_suspects_for_long(diary: Diary) -> None:
    """A1, G3: what a killed worker had only reserved is run by others, however often its holders are killed."""
    quick = [note_late.delay(diary.path, "quick") for _ in range(300)]
    with running_worker(concurrency=1) as first:
        all_settled(quick)
        held = hold_late.delay(diary.path, "hold", diary.gate)
        ahead = [note_late.delay(diary.path, f"ahead {number}") for number in range(50)]
        diary.until("hold")
        first.kill()
    diary.open_gate()
    with running_worker("--pool=solo"):
        assert settled(held).state == "SUCCESS"
        for result in all_settled(ahead):
            assert (result.state, result.losses <= 1) == ("SUCCESS", True)


@on_one_database
def test_restart_under_the_same_name_adopts_nothing(diary: Diary) -> None:
    """A11: the lease of the dead one runs out first."""
    late = hold_late.delay(diary.path, "late", diary.gate)
    with running_worker("--pool=solo", "--hostname=pod-0", LEASE_SECONDS=3) as first:
        diary.until("late")
        dead = messages().get(pk=late.id).worker
        first.kill()
    diary.open_gate()
    with running_worker("--pool=solo", "--hostname=pod-0", LEASE_SECONDS=3):
        again = settled(late)
    assert (again.state, again.deliveries, again.worker == dead) == ("SUCCESS", 2, False)
    assert until_begun_anew(again) >= 0


def test_work_goes_on_without_the_rows_of_workers(diary: Diary) -> None:
    """A12: with all of them deleted, leases are renewed and new messages run."""
    held = hold.delay(diary.path, "held", diary.gate)
    with running_worker(LEASE_SECONDS=1):
        diary.until("held")
        wait_until(Worker.objects.all().delete)
        ends = messages().get(pk=held.id).leased_until + timedelta(seconds=1)
        wait_until(lambda: messages().get(pk=held.id).leased_until > ends, what="a lease renewed beyond its length")
        new = [note.delay(diary.path, "new") for _ in range(20)]
        all_settled(new)
        diary.open_gate()
        assert settled(held).deliveries == 1
    assert diary.counts()["new"] == 20


def test_what_a_worker_without_a_row_held_is_received_again(diary: Diary) -> None:
    """A12: a dead worker is known by the leases on its messages and by nothing else."""
    late = hold_late.delay(diary.path, "late", diary.gate)
    with running_worker("--pool=solo", LEASE_SECONDS=1) as first:
        diary.until("late")
        first.kill()
    Worker.objects.all().delete()
    diary.open_gate()
    with running_worker("--pool=solo"):
        assert settled(late).state == "SUCCESS"


@pytest.mark.parametrize(
    ("pool", "task"), [("processes", hold_late), ("threads", hog_late)], ids=["waiting", "spinning in C"]
)
@on_one_database
def test_children_end_with_their_supervisor(diary: Diary, pool: str, task: Task) -> None:
    """A3: also where a body holds the interpreter and nothing in it could run."""
    task.delay(diary.path, "late", 30 if task is hog_late else diary.gate)
    with running_worker(f"--pool={pool}") as worker:
        diary.until("late")
        children = worker.children()
        worker.kill()
        assert children
        wait_until(lambda: not any(map(is_running, children)), timeout=2)
