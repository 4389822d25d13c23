"""Each database has its vendor; what all of them promise beside the verbs is here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import DatabaseError, DataError, IntegrityError, OperationalError, connections
from django.utils import timezone

from djtasks.broker.vendors import Listener, Vendor, private_vendor, shared_vendor, vendor_for
from djtasks.broker.vendors.base import MESSAGES_CHANNEL
from djtasks.broker.vendors.portable import PortableVendor
from djtasks.models import Worker
from tests.broker.sentences import held, lives, open_transaction, reserve, send, settled

USUAL = connections["default"].vendor


@pytest.fixture
def using(settings: object) -> Iterator[object]:
    """Settings of the database, for connections that are made from here on."""
    usual = connections["default"].settings_dict
    kept = {**usual, "OPTIONS": dict(usual.get("OPTIONS") or {})}
    yield usual
    usual.clear()
    usual.update(kept)


def test_vendor_is_chosen_by_the_connection() -> None:
    shared, private = shared_vendor(), private_vendor()
    assert shared.connection is connections["default"]
    assert private.connection is not connections["default"]
    name = {"postgresql": "PostgresqlVendor", "sqlite": "SqliteVendor"}.get(USUAL, "PortableVendor")
    assert type(shared) is type(private) and type(shared).__name__ == name
    assert (shared.private, private.private) == (False, True)
    private.connection.close()


def test_databases_without_a_vendor_of_their_own_are_served_portably() -> None:
    connection = connections.create_connection("default")
    connection.vendor = "mysql"
    assert type(vendor_for(connection)) is PortableVendor


def test_private_vendor_is_outside_the_callers_transaction(vendor: Vendor) -> None:
    usual = shared_vendor()
    with open_transaction(usual, commit=False):
        (unsent,) = send(usual)
        assert lives(unsent) and usual.living([unsent])
        assert not vendor.living([unsent])
    (sent,) = send(usual)
    assert vendor.living([sent])


def test_private_vendor_serves_any_thread(vendor: Vendor) -> None:
    message = held(vendor)
    answers: list[object] = []

    def elsewhere() -> None:
        answers.append(vendor.living([message.id]))
        answers.append(settled(vendor, message.token))
        vendor.connection.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert answers == [{message.id}, True] and not lives(message.id)


def test_verbs_work_in_the_callers_transaction_too() -> None:
    """The way of atomic tasks: what they write and their settlement are one."""
    vendor = shared_vendor()
    kept, dropped = held(vendor), held(vendor)
    with open_transaction(vendor):
        assert settled(vendor, kept.token)
        assert vendor.renew([dropped.token], 60.0)
    with open_transaction(vendor, commit=False):
        assert settled(vendor, dropped.token) and not lives(dropped.id)
    assert lives(dropped.id) and not lives(kept.id)


def test_private_connection_ignores_the_applications_habits(using: dict) -> None:
    using |= {"ATOMIC_REQUESTS": True, "CONN_MAX_AGE": 0}
    vendor = private_vendor()
    assert vendor.connection.settings_dict["CONN_MAX_AGE"] is None
    assert vendor.connection.settings_dict["ATOMIC_REQUESTS"] is False
    assert using["ATOMIC_REQUESTS"] is True
    vendor.connection.close()


def test_isolation_of_the_application_is_not_the_queues(using: dict) -> None:
    """B4: who looks whether another is still waited for must see what was committed meanwhile."""
    if USUAL != "mysql":
        pytest.skip("said of PostgreSQL elsewhere; SQLite has one kind")
    using["OPTIONS"]["isolation_level"] = "repeatable read"
    vendor = private_vendor()
    assert isolation_of(vendor) == "READ-COMMITTED"
    vendor.connection.close()


def test_isolation_of_calls_is_djangos_own(vendor: Vendor) -> None:
    """B4, C22: READ COMMITTED is in force where messages are sent, too, although the server would have another."""
    if USUAL != "mysql":
        pytest.skip("said of PostgreSQL elsewhere; SQLite has one kind")
    assert isolation_of(shared_vendor()) == isolation_of(vendor) == "READ-COMMITTED"


def isolation_of(vendor: Vendor) -> str:
    with vendor.connection.cursor() as cursor:
        cursor.execute("SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')")
        return str(cursor.fetchone()[1])


def test_connection_comes_back_after_it_was_closed(vendor: Vendor) -> None:
    (first,) = send(vendor)
    vendor.connection.close()
    (message,) = reserve(vendor)
    vendor.connection.close()
    assert message.id == first and settled(vendor, message.token)


def test_clock_is_the_databases_and_moves_within_a_transaction(vendor: Vendor) -> None:
    with open_transaction(vendor):
        moments = [vendor.now() for _ in range(3)]
    assert moments == sorted(moments) and timezone.is_aware(moments[0])
    assert abs(moments[0] - timezone.now()) < timedelta(seconds=60)


def test_without_time_zones_moments_are_the_same(vendor: Vendor, settings: object) -> None:
    if USUAL == "sqlite":
        pytest.skip("its texts belong to the settings they were written with")
    settings.USE_TZ = False
    before = time.time()
    message = held(vendor)
    assert before - 1 <= message.enqueued_at <= message.reserved_at <= time.time() + 1
    assert settled(vendor, message.token)


REFUSALS = [
    (DataError("bad value"), True),
    (IntegrityError("not null"), True),
    (OperationalError("gone"), False),
    (DatabaseError("whatever"), False),
]


@pytest.mark.parametrize(("error", "refusal"), REFUSALS)
def test_only_errors_about_values_are_an_outcomes_fault(vendor: Vendor, error: DatabaseError, refusal: bool) -> None:
    assert vendor.is_refusal(error) is refusal
    assert not vendor.is_transient(error)


def test_listener_comes_back_after_its_time(vendor: Vendor) -> None:
    with vendor.listen(MESSAGES_CHANNEL) as listener:
        began_at = time.monotonic()
        assert list(listener.wait(0.01)) == []
        assert time.monotonic() - began_at < 5


def test_idle_worker_hears_of_a_message(private: Vendor) -> None:
    Worker.objects.create(name="w", host="h", pid=1, pool="solo", slots=1)
    with private.listen(MESSAGES_CHANNEL) as listener:
        if type(listener) is Listener:
            pytest.skip("here nothing is announced: workers look every POLL_SECONDS")
        list(listener.wait(0.0))
        send(shared_vendor(), queue="mail")
        (announcement,) = listener.wait(10.0)
        assert announcement.payload.split(" ")[0] in ("mail", "*")


def test_listener_that_hears_nothing_polls(private: Vendor, settings: object) -> None:
    """NOTIFY = False"""
    Worker.objects.create(name="w", host="h", pid=1, pool="solo", slots=1)
    settings.DJTASKS = {"NOTIFY": False}
    with private.listen(MESSAGES_CHANNEL) as listener:
        send(shared_vendor())
        assert {heard.payload for heard in listener.wait(0.01)} in (set(), {"*"})
