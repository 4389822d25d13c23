"""A beat that runs: it gives its sign of life, outlives its connections, and keeps its house in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from djtasks import signals
from djtasks.beat import running
from djtasks.beat.health import health
from djtasks.beat.running import Beat, embedded
from djtasks.beat.tick import seconds_until_next, tick
from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.models import Beat as BeatRow
from djtasks.models import Slot
from djtasks.models.clock import Now
from tests.beat.sentences import HOUR, due, hourly, let_come_due, made, now, row, slots
from tests.helpers import wait_until


@pytest.fixture
def beat(transactional_db: None) -> Iterator[Beat]:
    with embedded(Beat("beat@here", max_interval=0.2)) as one:
        wait_until(BeatRow.objects.exists)
        yield one


def test_beat_takes_what_comes_due(beat: Beat) -> None:
    hourly()
    wait_until(lambda: row().next_run_at)
    let_come_due()
    wait_until(lambda: len(slots()) == 1)


def test_beat_that_has_ended_leaves_no_row(transactional_db: None) -> None:
    with embedded(Beat("beat@here")):
        wait_until(BeatRow.objects.exists)
    assert not BeatRow.objects.exists()


@pytest.mark.parametrize(("worker", "name"), [(None, "beat_init"), (str(HOUR.seconds).zfill(32), "beat_embedded_init")])
def test_beat_tells_that_it_begins(transactional_db: None, worker: str | None, name: str) -> None:
    heard: list[Any] = []

    def hear(sender: Any, **facts: Any) -> None:
        heard.append(sender)

    getattr(signals, name).connect(hear)
    with embedded(Beat("beat@here", worker=worker)) as begun:
        wait_until(lambda: heard == [begun])
    getattr(signals, name).disconnect(hear)


def test_row_that_was_taken_away_comes_back(beat: Beat, monkeypatch: pytest.MonkeyPatch) -> None:
    """D7: the others think that it is dead when it was stopped for long."""
    monkeypatch.setattr(running, "SIGN_OF_LIFE_SECONDS", 0.05)
    beat._sign_at = 0.0
    BeatRow.objects.all().delete()
    wait_until(BeatRow.objects.exists)
    assert BeatRow.objects.get().pk == beat.row["id"]


@pytest.mark.postgres
def test_session_vouches_for_its_beat_and_nothing_is_written(transactional_db: None) -> None:
    """C15: a beat with nothing to do writes nothing, and one that has lost its session has lost that, too."""
    beat, one = Beat("beat@here"), private_vendor()
    beat._give_sign(one)
    BeatRow.objects.update(seen_at=Now() - timedelta(hours=1))
    for _ in range(2):
        beat._sign_at = 0.0
        beat._give_sign(one)
    assert now() - BeatRow.objects.get().seen_at > timedelta(minutes=59)
    assert [each.name for each in health(shared_vendor()).living] == ["beat@here"]
    one.connection.close()
    wait_until(lambda: not health(shared_vendor()).living)


@pytest.mark.postgres
def test_beat_that_has_connected_anew_says_so(beat: Beat) -> None:
    BeatRow.objects.update(seen_at=Now() - timedelta(hours=1))
    break_off_others()
    wait_until(lambda: now() - BeatRow.objects.get().seen_at < timedelta(minutes=1))


def break_off_others() -> None:
    with connection.cursor() as cursor:
        others = "pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608


def test_sign_of_life_clears_away_those_who_give_none(beat: Beat) -> None:
    dead = BeatRow.objects.create(name="dead", host="there", pid=1, seen_at=Now() - timedelta(hours=1))
    beat._sign_at = 0.0
    wait_until(lambda: not BeatRow.objects.filter(pk=dead.pk).exists())


@pytest.mark.postgres
def test_beat_outlives_its_connection(beat: Beat) -> None:
    hourly()
    wait_until(lambda: row().next_run_at)
    break_off_others()
    let_come_due()
    wait_until(lambda: len(slots()) == 1)


def test_slots_are_kept_for_their_time(vendor: Vendor, settings: Any) -> None:
    due(vendor)
    tick(vendor)
    beat = Beat("beat@here")
    for kept, left in ((None, 1), (86_400, 1), (timedelta(hours=1), 0)):
        settings.DJTASKS = {"BEAT_SLOTS_EXPIRE": kept}
        Slot.objects.update(made_at=Now() - timedelta(hours=2))
        beat._purge_at = 0.0
        beat._purge(vendor)
        assert Slot.objects.count() == left


def test_many_slots_are_purged_in_batches(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PURGE_BATCH", 3)
    schedule = hourly()
    Slot.objects.bulk_create(
        Slot(schedule=schedule, due_at=now() - each * HOUR, made_at=now() - timedelta(days=30)) for each in range(7)
    )
    beat = Beat("beat@here")
    for left in (4, 1, 0):
        beat._purge_at = 0.0 if left == 4 else beat._purge_at
        beat._purge(vendor)
        assert Slot.objects.count() == left


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_moments_may_be_naive(vendor: Vendor, settings: Any, zone: str) -> None:
    """D11: without USE_TZ, on either side of UTC."""
    settings.USE_TZ = False
    settings.TIME_ZONE = zone
    made("nightly", kind="crontab", expression="30 2 * * *", timezone=zone)
    hourly()
    assert tick(vendor) == 0
    assert (row("nightly").next_run_at.tzinfo, row("nightly").next_run_at.strftime("%H:%M")) == (None, "02:30")
    assert abs(row().next_run_at - datetime.now() - HOUR) < timedelta(minutes=1)
    assert 0 < (seconds_until_next(vendor) or 0) <= 3600
    let_come_due("hourly")
    assert (tick(vendor), tick(vendor)) == (1, 0)
    (slot,) = slots()
    assert slot.due_at.tzinfo is None and row().next_run_at - slot.due_at == HOUR
    assert abs(slot.made_at - datetime.now()) < timedelta(minutes=1)


def test_thread_of_a_beat_is_not_waited_for_for_ever(transactional_db: None) -> None:
    before = threading.active_count()
    with embedded(Beat("beat@here")):
        pass
    wait_until(lambda: threading.active_count() <= before)
