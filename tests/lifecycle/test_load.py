"""Loads that could starve somebody: H1, H3, H4."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from djtasks import AsyncResult, enqueue_many
from djtasks.conf import settings
from djtasks.models import Result
from tests.helpers import Diary, all_settled, messages, on_one_database, results, running_worker, wait_until
from tests.tasks import add, add_late, fail_again, hold_late, note_late

pytestmark = [pytest.mark.django_db(transaction=True), on_one_database]

AGEING = 1.0


def test_low_priorities_end_under_endless_higher_load() -> None:
    """H3, ROUTE-4: within PRIORITY_AGEING_SECONDS, a poll, and the time that the hundred themselves take."""
    low = send_many(100, priority=-10)
    ids = [handle.id for handle in low]
    high = messages().filter(priority=10)
    began_at = time.monotonic()
    with running_worker("--pool=threads", "--loglevel=warning", PRIORITY_AGEING_SECONDS=AGEING):
        while results().filter(pk__in=ids).count() < 100:
            assert time.monotonic() - began_at < AGEING + settings.POLL_SECONDS + 10
            if high.count() < 3000:
                send_many(3000, priority=10)
        assert high.exists(), "the load has ended"


def test_storm_of_retries_does_not_hold_fresh_messages_up() -> None:
    """H1: with jitter they come due by and by, and each message has its turn when it is due, fresh or not."""
    storm = enqueue_many([(fail_again, (), {}, {}) for _ in range(400)])
    failed = messages().filter(pk__in=[handle.id for handle in storm], retries__gte=1)
    with running_worker("--pool=threads", "--loglevel=error") as worker:
        # Those whose delay was drawn short may have had their second turn already.
        wait_until(lambda: failed.count() + Result.objects.count() >= 390)
        waits = []
        while failed.exists():
            began_at = time.monotonic()
            all_settled([add.delay(1, 1)])
            waits.append(time.monotonic() - began_at)
        assert len(waits) > 5 and median(waits) < 1 and max(waits) < 5, waits
        assert {result.retries for result in all_settled(storm)} == {1}
        assert worker.stop() == 0


def test_slow_body_does_not_keep_what_was_reserved_behind_it(diary: Diary) -> None:
    """H4: a hundred short ones end while it runs, no delivery is charged for it, and each waits a moment only."""
    with running_worker(LEASE_SECONDS=30) as worker:
        all_settled(enqueue_many([(add_late, (number, 1)) for number in range(600)]))
        slow = hold_late.delay(diary.path, "slow", diary.gate)
        short = enqueue_many([(note_late, (diary.path, "short")) for _ in range(100)])
        results = all_settled(short, timeout=15)
        assert diary.has("slow") and not diary.has("slow ended")
        assert {result.losses for result in results} == {0}
        diary.open_gate()
        all_settled([slow])
        assert worker.stop() == 0
    assert diary.counts()["short"] == 100


def send_many(count: int, **options: Any) -> list[AsyncResult]:
    return enqueue_many([(add, (number, 0), {}, options) for number in range(count)])
