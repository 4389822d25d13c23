"""Coroutines in a worker of their own, and pools that follow what there is to do."""

from __future__ import annotations

import pytest

from tests.helpers import Diary, all_settled, on_one_database, running_worker, settled, wait_until
from tests.tasks import acount, ahold, block, hold, note

pytestmark = pytest.mark.django_db(transaction=True)


def words(diary: Diary) -> list[str]:
    return [line.split()[0] for line, _ in diary.lines()]


def test_coroutines_share_the_connections_of_their_slots(diary: Diary) -> None:
    """J4, J6: the asynchronous ORM works, hooks do, nothing is left to the next, and no run has its own connection."""
    with running_worker("--pool=asyncio", concurrency=3):
        ended = all_settled([acount.delay(diary.path) for _ in range(12)])
        # After the end was recorded, which is what was waited for until now.
        wait_until(lambda: words(diary).count("after") == 12)
    assert {result.state for result in ended} == {"SUCCESS"}
    assert {tuple(result.value[:2]) for result in ended} == {("en-us", "clean")}
    assert len({result.value[2] for result in ended}) <= 3
    assert words(diary).count("before") == 12


def test_body_that_holds_up_the_loop_loses_no_lease(diary: Diary) -> None:
    """J4, A6: leases are renewed in another process."""
    with running_worker("--pool=eventloop", concurrency=2) as worker:
        neighbour = ahold.delay(diary.path, "neighbour", diary.gate)
        diary.until("neighbour")
        blocking = block.apply_async((diary.path, "block", 6), acks_late=True)
        diary.until("block")
        diary.open_gate()
        assert [result.deliveries for result in all_settled([neighbour, blocking])] == [1, 1]
        assert "lease lost" not in worker.log


def test_hundreds_of_coroutines_run_at_a_time(diary: Diary) -> None:
    with running_worker("--pool=eventloop", concurrency=200):
        waiting = [ahold.delay(diary.path, "body", diary.gate) for _ in range(200)]
        pid = diary.until("body", 200, timeout=60)
        assert {writer for _, writer in diary.lines()} == {pid}
        diary.open_gate()
        all_settled(waiting)


@on_one_database
def test_worker_grows_with_what_there_is_to_do(diary: Diary) -> None:
    """WORK-5: to its most slots."""
    with running_worker("--autoscale=4,1", concurrency=None) as worker:
        settled(note.delay(diary.path, "first"))
        assert len(worker.children()) == 1
        waiting = [hold.delay(diary.path, "body", diary.gate) for _ in range(5)]
        diary.until("body", 4)
        wait_until(lambda: len(worker.children()) == 4)
        diary.open_gate()
        all_settled(waiting)
