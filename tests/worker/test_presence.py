"""How it is seen that a worker lives, and that an idle one writes nothing for that: C15, H5, F27."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections

from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.conf import settings
from djtasks.domain.identifiers import uuid7
from djtasks.models import Worker
from djtasks.models.clock import Now
from djtasks.worker import heartbeat
from djtasks.worker.presence import Presence
from tests.helpers import wait_until
from tests.worker.test_beating import beating

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """The connection of a heartbeat, which the ORM uses, too."""
    usual, made = connections[settings.DATABASE], private_vendor()
    connections[settings.DATABASE] = made.connection
    yield made
    connections[settings.DATABASE] = usual
    made.connection.close()


def presence(memory: list[int] | None = None) -> Presence:
    facts = {"id": str(uuid7()), "name": "w", "host": "h", "pid": 1, "pool": "solo", "slots": 1}
    return Presence(facts, memory.pop if memory else lambda: 1000)


def leave_unwritten_for_long() -> None:
    Worker.objects.update(seen_at=Now() - timedelta(hours=1))


def vanished() -> set[UUID]:
    return {row.pk for row in shared_vendor().vanished_workers()}


def written() -> tuple[Any, ...]:
    """Return the worker's row, and which transaction wrote it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text, worker.* FROM djtasks_worker AS worker")
        (row,) = cursor.fetchall()
    return tuple(row)


@pytest.mark.postgres
def test_session_vouches_for_its_worker_and_nothing_is_written(vendor: Vendor) -> None:
    one = presence()
    one.sign(vendor, listening=True)
    leave_unwritten_for_long()
    before = written()
    for _ in range(3):
        one.sign(vendor, listening=True)
    assert written() == before
    assert not vanished()
    (seen,) = shared_vendor().workers()
    assert shared_vendor().now() - seen.last_seen < timedelta(minutes=1)


@pytest.mark.postgres
def test_worker_whose_session_ends_has_vanished_at_once(vendor: Vendor) -> None:
    """Where its row has not been written lately: of a row that has, nobody knows better."""
    presence().sign(vendor, listening=True)
    leave_unwritten_for_long()
    vendor.connection.close()
    (worker,) = Worker.objects.all()
    wait_until(lambda: vanished() == {worker.pk})


@pytest.mark.postgres
def test_session_that_does_nothing_vouches_for_nobody(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does whose host has lost its power, or whose process was halted."""
    one = presence()
    one.sign(vendor, listening=True)
    leave_unwritten_for_long()
    monkeypatch.setattr("djtasks.broker.vendors.life.VANISHED_SECONDS", 0.5)
    connections[settings.DATABASE] = look_on = private_vendor().connection
    (worker,) = Worker.objects.all()
    wait_until(lambda: vanished() == {worker.pk})
    vendor.now()
    assert not vanished()
    look_on.close()


@pytest.mark.postgres
def test_who_may_not_see_what_sessions_do_sees_that_they_are_there(vendor: Vendor) -> None:
    presence().sign(vendor, listening=True)
    leave_unwritten_for_long()
    connections[settings.DATABASE] = other = private_vendor().connection
    role = f"looks_on_{other.settings_dict['NAME']}"
    with other.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"GRANT SELECT ON djtasks_worker TO {role}")
        try:
            cursor.execute(f"SET ROLE {role}")
            cursor.execute("SELECT count(state) FROM pg_stat_activity")
            assert cursor.fetchone() == (0,)
            assert not vanished()
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute(f"DROP OWNED BY {role}")
            cursor.execute(f"DROP ROLE {role}")
    other.close()


def test_what_changes_is_written(vendor: Vendor) -> None:
    one = presence()
    one.sign(vendor, listening=True)
    one.sign(vendor, listening=False)
    assert Worker.objects.get().listening is False
    one.row["slots"] = 7
    one.sign(vendor, listening=False)
    assert Worker.objects.get().slots == 7


def test_memory_is_written_when_it_has_grown_or_shrunk(vendor: Vendor) -> None:
    one = presence([500, 1100, 1020, 1000])
    for expected in (1000, 1000, 1100, 500):
        one.sign(vendor, listening=True)
        assert Worker.objects.get().memory == expected


def test_row_that_others_took_away_is_written_again(vendor: Vendor) -> None:
    one = presence()
    one.sign(vendor, listening=True)
    Worker.objects.all().delete()
    one.sign(vendor, listening=True)
    assert Worker.objects.get().memory == 1000


def test_new_connection_says_that_the_worker_lives(vendor: Vendor) -> None:
    """Its session, and what that vouched for, were gone in between."""
    one = presence()
    one.sign(vendor, listening=True)
    leave_unwritten_for_long()
    vendor.connection.close()
    one.begin()
    one.sign(vendor, listening=True)
    assert Worker.objects.get().seen_at > vendor.now() - timedelta(minutes=1)
    leave_unwritten_for_long()
    one.sign(vendor, listening=True)
    assert not vanished()


@pytest.mark.postgres
def test_second_session_of_a_worker_writes_until_the_first_is_gone(vendor: Vendor) -> None:
    """A server may take hours to notice that a client is there no longer."""
    one, other = presence(), private_vendor()
    one.sign(vendor, listening=True)
    one.begin()
    leave_unwritten_for_long()
    one.sign(other, listening=True)
    before = written()
    one.sign(other, listening=True)
    assert written() != before
    vendor.connection.close()
    wait_until(lambda: one.sign(other, listening=True) or one._sign._vouched)
    other.connection.close()


@pytest.mark.postgres
def test_idle_heartbeat_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SIGN_OF_LIFE_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "PURGE_SECONDS", 0.01)
    with beating() as beat:
        wait_until(lambda: Worker.objects.filter(listening=True).exists() and beat.announcements >= 2)
        before, signs = written(), []
        sign = beat.thread.presence.sign
        beat.thread.presence.sign = lambda *args, **kwargs: signs.append(time.monotonic()) or sign(*args, **kwargs)
        wait_until(lambda: len(signs) > 10)
        assert written() == before


def test_young_worker_is_measured_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes before its processes have loaded says nothing."""
    monkeypatch.setattr(heartbeat, "YOUNG_SECONDS", 0.01)
    at_first = iter([1000])
    with beating() as beat:
        beat.thread.presence._memory = lambda: next(at_first, 2000)
        wait_until(lambda: Worker.objects.filter(memory=2000).exists(), timeout=heartbeat.SIGN_OF_LIFE_SECONDS / 2)
