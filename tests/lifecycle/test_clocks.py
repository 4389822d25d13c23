"""Clocks that differ, jump, and change with the season: the database's alone counts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from djtasks.broker.vendors import shared_vendor
from djtasks.models import Message, Schedule, Slot
from tests.clocks import faketime
from tests.helpers import Diary, all_settled, messages, running_beat, running_worker, settled, wait_until
from tests.lifecycle.test_beats import check_that_no_slot_is_missing, every_second
from tests.lifecycle.test_outages import queue_on
from tests.servers import PostgresServer
from tests.tasks import hold_late, note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
SECOND = timedelta(seconds=1)
WRONG = pytest.mark.parametrize("wrong", ["+3600s", "-3600s"])


@WRONG
def test_beat_whose_clock_is_wrong_sends_in_time(transactional_db: None, wrong: str) -> None:
    """D1, F14."""
    schedule = every_second()
    with running_beat(environment=faketime(wrong)):
        wait_until(lambda: schedule.slots.count() >= 3)
    check_that_no_slot_is_missing(schedule)
    for slot in schedule.slots.all():
        assert timedelta() <= slot.made_at - slot.due_at < 60 * SECOND


@WRONG
def test_worker_whose_clock_is_wrong_begins_nothing_early_and_takes_no_lease(diary: Diary, wrong: str) -> None:
    """D1, F14."""
    with running_worker("-Q", "held", concurrency=1), running_worker("--pool=threads", environment=faketime(wrong)):
        held = hold_late.apply_async((diary.path, "held", diary.gate), queue="held")
        diary.until("held")
        delayed = note.apply_async((diary.path, "delayed"), countdown=3)
        due_at = messages().get(pk=delayed.id).due_at
        # Longer than a lease.
        result = settled(delayed)
        assert result.started_at >= due_at
        diary.open_gate()
        assert all_settled([held])[0].deliveries == 1
    assert diary.counts()["held"] == 1


class Clock:
    """The clock of a server."""

    def __init__(self, server: PostgresServer) -> None:
        self.file = server.directory / "time"
        self.set("+0")
        server.environment = faketime(self.file)

    def set(self, told: str) -> None:
        """Say what it shows from now on: "-300", or "@2026-10-25 00:29:57"."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(told + "\n")
        fresh.chmod(0o644)
        os.replace(fresh, self.file)


@contextmanager
def clock_of(server: PostgresServer) -> Iterator[Clock]:
    """Start a server whose clock can be set."""
    clock = Clock(server)
    server.restart()
    with queue_on(server):
        yield clock


def test_clock_of_the_database_may_jump(own_postgres: PostgresServer) -> None:
    """D2: no slot is made twice; five minutes back, then an hour forward."""
    with clock_of(own_postgres) as clock:
        schedule = every_second()
        with running_beat(url=own_postgres.url):
            wait_until(lambda: schedule.slots.count() >= 2)
            clock.set("-300")
            wait_until(lambda: shared_vendor().now() < schedule.slots.latest("due_at").due_at)
            before = schedule.slots.count()
            clock.set("+3600")
            wait_until(lambda: schedule.slots.count() >= before + 500)
        assert Message.objects.count() == Slot.objects.count() == Slot.objects.distinct().count()
        assert Schedule.objects.get().runs == Slot.objects.count()


def test_hour_that_comes_twice_comes_twice_for_who_says_so(own_postgres: PostgresServer) -> None:
    """D4: Paris, on the night of 2026-10-25."""
    with clock_of(own_postgres) as clock:
        # Some seconds before it is 02:30 there for the first time.
        clock.set("@2026-10-25 00:29:56")
        rule = {"kind": "crontab", "expression": "30 2 * * *", "timezone": "Europe/Paris"}
        first, both = (every_second(fold, fold=fold, **rule) for fold in ("first", "both"))
        wildcard = every_second("wildcard", **{**rule, "expression": "30 * * * *"})
        with running_beat(url=own_postgres.url):
            wait_until(lambda: first.slots.count() == both.slots.count() == wildcard.slots.count() == 1)
            clock.set("@2026-10-25 01:29:56")
            wait_until(lambda: both.slots.count() == wildcard.slots.count() == 2)
            assert first.slots.count() == 1
            first.refresh_from_db()
            assert f"{first.next_run_at:%Y-%m-%d %H:%M}" == "2026-10-26 01:30"
