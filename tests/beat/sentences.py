"""What the tests of beats say: make a schedule, let it come due, see what was made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from djtasks.beat.tick import tick
from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.models import Message, Schedule, Slot
from djtasks.models.clock import Now

HOUR = timedelta(hours=1)


def hourly(name: str = "hourly", **given: Any) -> Schedule:
    """Make a schedule that nothing is due of for an hour."""
    return made(name, kind="interval", expression="1h", **given)


def made(name: str = "schedule", **given: Any) -> Schedule:
    return Schedule.objects.create(**{"name": name, "task": "tests.tasks.add", "args": [1, 2], **given})


def planned(vendor: Vendor, name: str = "hourly", **given: Any) -> Schedule:
    """Make a schedule whose first slot is known."""
    hourly(name, **given)
    assert tick(vendor) == 0
    return row(name)


def beat_once() -> int:
    """Let a beat of its own make what is due; return how many messages that were."""
    vendor = private_vendor()
    try:
        return tick(vendor)
    finally:
        vendor.connection.close()


def row(name: str = "hourly") -> Schedule:
    return Schedule.objects.get(name=name)


def change_by_sql(name: str, **changes: Any) -> None:
    """Change a row as SQL does: nobody is told."""
    QuerySet(Schedule).filter(name=name).update(**changes)


def let_come_due(*names: str, ago: float = 5.0) -> None:
    """Set the next slots of schedules, or of all, to so many seconds ago."""
    schedules = Schedule.objects.filter(enabled=True)
    (schedules.filter(name__in=names) if names else schedules).update(next_run_at=Now() - timedelta(seconds=ago))


def due(vendor: Vendor, name: str = "hourly", *, ago: float = 5.0, **given: Any) -> Schedule:
    """Make a schedule that is due, and has not been looked at since."""
    hourly(name, **given)
    change_by_sql(name, planned=row(name).plan, planned_start_at=row(name).start_at)
    let_come_due(name, ago=ago)
    return row(name)


def now() -> datetime:
    return shared_vendor().now()


def slots(name: str = "hourly") -> list[Slot]:
    return list(Slot.objects.filter(schedule__name=name).order_by("due_at"))


def sent(name: str = "hourly") -> list[Message]:
    """Return the messages of its slots, which live."""
    found = {message.pk: message for message in Message.objects.all()}
    return [found[slot.message] for slot in slots(name) if slot.message in found]


def close(one: datetime | None, other: datetime, within: float = 60.0) -> bool:
    """Say whether two moments are nearly the same."""
    return one is not None and abs((one - other).total_seconds()) < within


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def moments(found: Iterable[Slot]) -> list[datetime]:
    return [slot.due_at for slot in found]
