"""Rate limits with real workers: WORK-4."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.helpers import Diary, all_settled, drain, leased, running_worker, wait_until
from tests.tasks import note, note_limited

pytestmark = pytest.mark.django_db(transaction=True)


def test_limited_task_keeps_its_rate_and_holds_nobody_up(diary: Diary) -> None:
    """WORK-4: four a second; all others are done before the second of them, and a burst ends when all are."""
    limited = [note_limited.delay(diary.path, "limited") for _ in range(6)]
    others = [note.delay(diary.path, "other") for _ in range(30)]
    drain()
    started = sorted(result.started_at for result in all_settled(limited))
    # A start is seen a moment late on a busy machine, so a single pause may be short; all of them together may not.
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(started)]
    assert sum(pauses) > 1 and min(pauses) > 0.05, pauses
    assert max(result.started_at for result in all_settled(others)) < started[3]
    assert diary.counts() == {"limited": 6, "other": 30}


def test_limited_messages_are_free_for_other_workers(diary: Diary) -> None:
    """WORK-4: the limit is each worker's own, and what waits is held by nobody."""
    handles = [note_limited.delay(diary.path, "limited") for _ in range(12)]
    with running_worker("--pool=threads") as first, running_worker("--pool=threads") as second:
        wait_until(lambda: leased() == 0 and diary.has("limited", 2))
        results = all_settled(handles)
        assert (first.stop(), second.stop()) == (0, 0)
    assert len({result.hostname and result.worker for result in results}) == 2
