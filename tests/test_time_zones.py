"""Moments mean the same on every database, with and without USE_TZ, on either side of UTC (D11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from djtasks import AsyncResult
from djtasks.beat.running import Beat
from djtasks.broker.commands import send
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.domain.identifiers import uuid7
from djtasks.models import Beat as BeatRow
from djtasks.models import Command, Message, Result, Schedule, Worker
from djtasks.testing import drain, travel
from djtasks.worker.presence import Presence
from tests.broker.sentences import held, let_leases_lapse, reserve_one, row
from tests.tasks import add

pytestmark = pytest.mark.django_db(transaction=True)
MOMENT = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture(
    params=[
        (True, "Asia/Kathmandu"),
        (True, "America/New_York"),
        (False, "Asia/Kathmandu"),
        (False, "America/New_York"),
    ],
    ids=lambda given: f"{'aware' if given[0] else 'naive'}-{given[1]}",
    autouse=True,
)
def zone(request: pytest.FixtureRequest, settings: Any, transactional_db: None) -> Iterator[str]:
    """The project's zone; connections learn of it when they are made."""
    settings.USE_TZ, settings.TIME_ZONE = request.param
    connection.close()
    yield settings.TIME_ZONE
    connection.close()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = private_vendor()
    yield made
    made.connection.close()


def is_now(moment: datetime | None, *, plus: timedelta = timedelta()) -> bool:
    """Say whether a moment of a row is that of the test, in the kind that the project uses."""
    return moment is not None and abs(moment - timezone.now() - plus) < MOMENT


def sent(handle: AsyncResult) -> Message:
    return Message.objects.get(pk=handle.id)


def test_message_is_sent_and_ends_now() -> None:
    handle = add.delay(1, 2)
    assert is_now(sent(handle).enqueued_at) and is_now(sent(handle).due_at)
    drain()
    result = Result.objects.get(pk=handle.id)
    assert all(map(is_now, (result.enqueued_at, result.started_at, result.finished_at)))
    assert is_now(result.expires_at, plus=DAY) and is_now(handle.date_done)


def test_countdown_eta_and_expiry_are_kept() -> None:
    delayed = add.apply_async((1, 2), countdown=3600, expires=7200)
    at = datetime.now(UTC) + timedelta(hours=1)
    planned = add.apply_async((3, 4), eta=at, expires=at + timedelta(hours=1))
    for handle in (delayed, planned):
        message = sent(handle)
        assert is_now(message.due_at, plus=timedelta(hours=1)) and is_now(message.expires_at, plus=timedelta(hours=2))
    assert drain() == []
    with travel(timedelta(hours=1, minutes=1)):
        assert [each.state for each in drain()] == ["SUCCESS"] * 2


def test_expired_message_does_not_run() -> None:
    handle = add.apply_async((1, 2), expires=60)
    with travel(90):
        assert [each.state for each in drain(propagate=False)] == ["REVOKED"]
    assert handle.state == "REVOKED"


def test_lease_is_renewed_and_lapses(vendor: Vendor) -> None:
    message = held(vendor)
    assert is_now(row(message.id).leased_until, plus=MOMENT)
    assert vendor.renew([message.token], 3600.0) == {message.token}
    assert is_now(row(message.id).leased_until, plus=timedelta(hours=1))
    let_leases_lapse()
    assert reserve_one(vendor).deliveries == 2
    (lost,) = row(message.id).errors
    assert lost["kind"] == "lost"


def test_rows_of_processes_and_schedules_begin_now(vendor: Vendor) -> None:
    """Whatever the database itself would write into a column: on SQLite that is in UTC."""
    facts = {"id": str(uuid7()), "name": "w", "host": "h", "pid": 1, "pool": "solo", "slots": 1}
    Presence(facts).sign(vendor, listening=False)
    Beat("b@h")._give_sign(vendor)
    worker, beat = Worker.objects.get(), BeatRow.objects.get()
    send(vendor, [worker.pk], "ping", {})
    schedule = Schedule.objects.create(name="s", task="tests.add", kind="interval", expression="60")
    schedule.refresh_from_db()
    moments = worker.started_at, worker.seen_at, beat.started_at, beat.seen_at, Command.objects.get().sent_at
    assert all(map(is_now, (*moments, schedule.since)))
