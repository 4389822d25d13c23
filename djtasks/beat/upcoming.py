"""When a schedule is due next: what beats will do, told before they do it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from djtasks.beat.moments import from_row
from djtasks.beat.turn import first_slot
from djtasks.models import Schedule


def upcoming(schedule: Schedule, now: datetime, count: int) -> list[datetime]:
    """Return its next slots, also of one that is disabled; raises ValueError for a rule that cannot be read."""
    return list(islice(_slots(schedule, now), count))


def _slots(schedule: Schedule, now: datetime) -> Iterator[datetime]:
    if schedule.next_run_at and schedule.is_planned:
        slot: datetime | None = from_row(schedule.next_run_at)
    else:
        slot = first_slot(schedule, from_row(schedule.since) if schedule.enabled else now)
    end_at = schedule.end_at and from_row(schedule.end_at)
    while slot is not None and not (end_at and slot > end_at):
        yield slot
        if schedule.one_off:
            return
        slot = schedule.rule.next_after(slot, anchor=slot)
