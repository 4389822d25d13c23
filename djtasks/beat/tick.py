"""Take the schedules that are due, make their messages and move them on: in one transaction for each batch.

Whoever comes at the same moment takes others (SKIP LOCKED), so that any number of beats share the work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from django.db import DatabaseError, OperationalError
from django.db.models import F, Min, QuerySet

from djtasks.beat.moments import from_row
from djtasks.beat.overlap import restrain
from djtasks.beat.turn import Turn
from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Vendor
from djtasks.broker.vendors.schedules import move, note_slots
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Schedule, Slot
from djtasks.tasks.sending import insert

logger = logging.getLogger("djtasks.beat")
BATCH = 500
# A beat that is stopped in the middle of a batch keeps it from the others for so long (D7).
IDLE_SECONDS = 10.0

Make = Callable[[Turn], None]


def tick(vendor: Vendor, breathe: Callable[[], object] = bool) -> int:
    """Make everything that is due on the vendor's own connection; return how many messages that were.

    After each batch ``breathe`` is called.
    """
    with vendor.bound():
        rows = Schedule.objects.using(vendor.alias)
        due = rows.filter(enabled=True, next_run_at__lte=vendor.clock)
        return sum(_all(vendor, wanted, breathe) for wanted in (rows.unplanned(), due.order_by("next_run_at")))


def seconds_until_next(vendor: Vendor) -> float | None:
    """Say in how many seconds of the database's clock the next schedule is due, if any is."""
    with vendor.bound():
        found = Schedule.objects.using(vendor.alias).filter(enabled=True).aggregate(next=Min("next_run_at"))
    next_at: datetime | None = found["next"]
    return None if next_at is None else (from_row(next_at) - from_row(vendor.now())).total_seconds()


def _all(vendor: Vendor, wanted: QuerySet[Schedule], breathe: Callable[[], object]) -> int:
    made = 0
    # What is locked is left: another beat is at it, or somebody who edits.
    while wanted.exists() and (turns := _batch(vendor, wanted)):
        made += sum(len(turn.messages) for turn in turns)
        breathe()
    return made


def _batch(vendor: Vendor, wanted: QuerySet[Schedule], make: Make = Turn.make) -> list[Turn]:
    """Take a batch of schedules; where the database refuses one of them, each by itself."""
    turns: list[Turn] = []
    vendor.connection.ensure_connection()
    raw = vendor.connection.connection
    try:
        patiently(vendor, _take_locked, vendor, wanted, make, turns)
    except (DatabaseError, AlreadyEnqueued) as error:
        # Whatever else it is, one of them is to blame: its values, or what the project does when it is sent.
        # A connection that was lost was replaced by another one.
        if isinstance(error, OperationalError) or vendor.connection.connection is not raw:
            raise
        if len(turns) == 1:
            return _batch(vendor, wanted.filter(pk=turns[0].schedule.pk), partial(_refuse, error=error))
        return [each for turn in turns for each in _batch(vendor, wanted.filter(pk=turn.schedule.pk))]
    for turn in turns:
        turn.log()
    return turns


def _take_locked(vendor: Vendor, wanted: QuerySet[Schedule], make: Make, turns: list[Turn]) -> None:
    """Lock a batch and take it; the turns are there also where that is refused."""
    with vendor.atomic():
        vendor.limit_idling(IDLE_SECONDS)
        turns[:] = _locked(vendor, wanted)
        _take(vendor, turns, make)


def _locked(vendor: Vendor, wanted: QuerySet[Schedule]) -> list[Turn]:
    """Lock a batch, and read the clock by which it was chosen."""
    if vendor.one_writer:
        # Before anything is read: to turn from reading to writing fails where another has written meanwhile.
        Schedule.objects.using(vendor.alias).filter(pk__in=wanted.values("pk")[:1]).update(runs=F("runs"))
    else:
        wanted = wanted.select_for_update(skip_locked=True)
    return [Turn(row, from_row(row.moment)) for row in wanted.annotate(moment=vendor.clock)[:BATCH]]


def _take(vendor: Vendor, turns: Sequence[Turn], make: Make) -> None:
    for turn in turns:
        turn.take()
    _leave_known(vendor, turns)
    restrain(turns)
    for turn in turns:
        make(turn)
    insert([message for turn in turns for message in turn.messages], [])
    note_slots(vendor, [slot for turn in turns for slot in turn.slots])
    move(vendor, [turn.schedule for turn in turns])


def _leave_known(vendor: Vendor, turns: Sequence[Turn]) -> None:
    """Leave out slots that were made before: rows that were set back by hand, or from a backup, send nothing twice."""
    due_at = {slot.due_at for turn in turns for slot in turn.slots}
    if due_at:
        made = Slot.objects.using(vendor.alias).filter(schedule__in=[turn.schedule for turn in turns])
        known = set(made.filter(due_at__in=due_at).values_list("schedule_id", "due_at"))
        for turn in turns:
            turn.slots = [slot for slot in turn.slots if (turn.schedule.pk, slot.due_at) not in known]


def _refuse(turn: Turn, *, error: Exception) -> None:
    """Pass over what the database has refused to hold."""
    for slot in turn.slots:
        slot.passed_over = "error"
    turn.fail(error)
