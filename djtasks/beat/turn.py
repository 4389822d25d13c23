"""One schedule whose row is locked: what is made of it now, and what is written into its row."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from djtasks.beat.making import message_of
from djtasks.beat.moments import for_row, from_row
from djtasks.conf import settings
from djtasks.domain.messages import NewMessage
from djtasks.domain.payloads import printable
from djtasks.domain.schedules.catching_up import Policy, due
from djtasks.models import Schedule, Slot
from djtasks.models.schedules import DISABLED, ENDED

logger = logging.getLogger("djtasks.beat")
RECENT = 20
CANCEL = "cancel"


@dataclass
class Turn:
    """A schedule, as of a moment of the database's clock; what is wrong with it is written down, and harms no other."""

    schedule: Schedule
    now: datetime
    slots: list[Slot] = field(default_factory=list)
    messages: list[NewMessage] = field(default_factory=list)

    def plan(self) -> None:
        """Find the first slot that counts: what came before a change is not made up for (D6)."""
        schedule = self.schedule
        if not schedule.enabled:
            self._disable(DISABLED)
            return
        # What was planned for something else was changed by SQL, and nobody knows when.
        since = self.now if schedule.planned else from_row(schedule.since)
        try:
            first = first_slot(schedule, since)
        except Exception as error:
            self.give_up(error)
            return
        schedule.planned, schedule.planned_start_at = schedule.plan, schedule.start_at
        schedule.error = ""
        self._move(first)

    def take(self) -> None:
        """Make the slots that are due, and find the next one."""
        schedule = self.schedule
        if schedule.next_run_at is None or not schedule.is_planned:
            self.plan()
            return
        try:
            found = due(schedule.rule, from_row(schedule.next_run_at), self.now, _policy(schedule))
        except Exception as error:
            self.give_up(error)
            return
        end_at = schedule.end_at and from_row(schedule.end_at)
        slots = [slot for slot in found.slots if not end_at or slot <= end_at][-1 if schedule.one_off else 0 :]
        made_at = for_row(self.now)
        self.slots = [Slot(schedule=schedule, due_at=for_row(slot), made_at=made_at) for slot in slots]
        self._move(found.next_at)

    def _move(self, next_at: datetime | None) -> None:
        end_at = self.schedule.end_at and from_row(self.schedule.end_at)
        if end_at and next_at and next_at > end_at:
            next_at = None
        if next_at is None:
            self._disable(ENDED)
        else:
            self.schedule.next_run_at = for_row(next_at)

    def _disable(self, why: str) -> None:
        schedule = self.schedule
        schedule.enabled, schedule.planned, schedule.next_run_at = False, why, None

    def make(self) -> None:
        """Make the messages of those slots that are to have one."""
        for slot in self.slots:
            if slot.passed_over:
                continue
            try:
                message = message_of(self.schedule, from_row(slot.due_at), self.now)
            except Exception as error:
                slot.passed_over = "error"
                self.fail(error)
            else:
                slot.message = message.id
                self.messages.append(message)
        if self.messages:
            self._count()

    def _count(self) -> None:
        schedule = self.schedule
        schedule.runs += len(self.messages)
        schedule.last_run_at = self.slots[-1].due_at
        schedule.recent = [*schedule.recent, *(message.id for message in self.messages)][-RECENT:]
        schedule.error = ""
        if schedule.one_off:
            self._disable(ENDED)

    def log(self) -> None:
        """Say what was made."""
        for slot in self.slots:
            if slot.message:
                logger.info(
                    "%s[%s] sent for %r at %s", self.schedule.task, slot.message, self.schedule.name, slot.due_at
                )
            elif slot.passed_over != "error":
                logger.info("%r passed over at %s: %s", self.schedule.name, slot.due_at, slot.passed_over)

    def fail(self, error: BaseException) -> None:
        """Write down what is wrong with the schedule; it is tried again for its next slot."""
        self.schedule.error = printable(f"{type(error).__name__}: {error}", 2000)
        self.schedule.failed_at = for_row(self.now)
        logger.error("the schedule %r failed: %s", self.schedule.name, self.schedule.error, exc_info=error)

    def give_up(self, error: BaseException) -> None:
        """Switch off a schedule of which nobody can say when it is due (D5, D10)."""
        self.fail(error)
        self._disable(ENDED)
        logger.error("the schedule %r is disabled: when it is due cannot be told", self.schedule.name)


def first_slot(schedule: Schedule, since: datetime) -> datetime | None:
    """Return the first slot of a schedule that counts from a moment; raises ValueError for a rule that is none."""
    start_at = schedule.start_at and from_row(schedule.start_at)
    if not start_at or start_at <= since:
        return schedule.rule.next_after(since, anchor=start_at or since)
    # Intervals begin with the start; of others it is a slot only if their rule says so.
    return schedule.rule.next_after(start_at - timedelta(microseconds=1), anchor=start_at)


def _policy(schedule: Schedule) -> Policy:
    seconds = schedule.grace
    if seconds is None:
        seconds = settings.BEAT_CRON_STARTING_DEADLINE
    grace = None if seconds is None else timedelta(seconds=seconds)
    return Policy(schedule.missed, schedule.missed_limit, grace)
