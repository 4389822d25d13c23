"""Workflows under load and under fire: G9, B7, F18."""

from __future__ import annotations

import random
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import connection

from djtasks import chord, group
from djtasks.models import Dependency
from djtasks.models.clock import Now
from tests.helpers import Diary, all_settled, messages, results, running_worker, wait_until
from tests.lifecycle.test_chaos import Fleet
from tests.tasks import collect_late, give_late

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("chords", "members", "kills"),
    [(10, 100, 8), pytest.param(100, 1000, 100, marks=pytest.mark.soak)],
    ids=["quick", "long"],
)
def test_each_body_runs_once_whoever_dies(diary: Diary, chords: int, members: int, kills: int) -> None:
    """G9, B7, F18: with all values in order, and each rerun is explained by a loss that was recorded."""
    header = [give_late.s(number) for number in range(members)]
    bodies = [chord(header)(collect_late.s(diary.path, f"body {number}")) for number in range(chords)]
    total = chords * (members + 1)
    with ExitStack() as stack:
        fleet = Fleet(stack, 3)
        for kill in range(kills):
            wait_until(lambda kill=kill: results().count() >= kill * total // (kills + 1), timeout=180)
            fleet.strike()
            force_duplicates()
        wait_until(lambda: results().count() == total, timeout=180)
    assert not messages().exists() and not Dependency.objects.exists()
    runs = diary.counts()
    for number, body in enumerate(bodies):
        assert body.get() == list(range(members))
        lost = sum(error["kind"] == "lost" for error in body.errors)
        assert 1 <= runs[f"body {number}"] <= 1 + lost


def force_duplicates() -> None:
    """Let some leases lapse under bodies that run."""
    held = list(messages().filter(leased_until__isnull=False).values_list("pk", flat=True))
    for pk in random.sample(held, len(held) // 4):
        # One by one: whoever locks many in an order of his own is asking for a deadlock.
        messages().filter(pk=pk, leased_until__isnull=False).update(leased_until=Now() - timedelta(seconds=5))


@pytest.mark.postgres
def test_many_workers_finish_the_same_chords_without_a_deadlock() -> None:
    """B3, B7: all lock who waits in the same order."""
    before = deadlocks()
    members = [give_late.s(number) for number in range(300)]
    nested = [chord(group(chord(members, collect_late.s()) for _ in range(3)), collect_late.s()) for _ in range(2)]
    handles = [workflow.apply_async() for workflow in nested]
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(running_worker("--pool=threads", concurrency=2))
        ended = all_settled(handles, timeout=90)
    assert [result.value for result in ended] == [[list(range(300))] * 3] * 2
    assert deadlocks() == before


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
