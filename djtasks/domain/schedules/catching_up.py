"""What becomes of slots that nobody made in time, and of a run that goes on when the next is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

from djtasks.domain.schedules.rules import Rule

# What to do about missed slots: let them be, make one run of them, or all.
SKIP, ONCE, ALL = MISSED = ("skip", "once", "all")

# What to do while the run before goes on: run beside it, let this one be, let one wait, or cancel the other.
OVERLAPS = ("allow", "skip", "one", "cancel")

# A slot that is made so much later than it was due is not counted as missed.
IN_TIME = timedelta(seconds=60)
FIRST_STEP = timedelta(minutes=1)


class Policy(NamedTuple):
    """How a schedule catches up: ``grace`` is how late a slot may be made at all, ``limit`` how many at a time."""

    missed: str = ONCE
    limit: int = 100
    grace: timedelta | None = None


class Due(NamedTuple):
    """The slots to be made now, in order, and the next one to come."""

    slots: list[datetime]
    next_at: datetime | None


def due(rule: Rule, first: datetime, now: datetime, policy: Policy) -> Due:
    """Say which slots are to be made, of those from ``first`` to ``now`` (D6).

    Slots that came due long ago are not all looked at: a year of missed minutes costs no more than one.
    """
    following = rule.next_after(first, anchor=first)
    if following is None or following > now:
        return Due(_in_time([first], now, policy), following)
    slots = _latest(rule, first, now, policy.limit if policy.missed == ALL else 1)
    return Due(_in_time(slots, now, policy), rule.next_after(now, anchor=slots[-1]))


def _in_time(slots: list[datetime], now: datetime, policy: Policy) -> list[datetime]:
    grace = policy.grace
    if grace is None and policy.missed == SKIP:
        grace = IN_TIME
    return [slot for slot in slots if grace is None or now - slot <= grace]


def _latest(rule: Rule, first: datetime, now: datetime, most: int) -> list[datetime]:
    """Return the last slots up to now: looked for from a little before it, then from twice as long before it."""
    step = FIRST_STEP
    while now - step > first:
        slots = deque(_slots(rule, now - step, now, anchor=first), maxlen=most)
        if len(slots) == most:
            return list(slots)
        step *= 4
    return list(deque(_slots(rule, first, now, anchor=first, including=first), maxlen=most))


def _slots(
    rule: Rule, after: datetime, until: datetime, *, anchor: datetime, including: datetime | None = None
) -> Iterator[datetime]:
    if including is not None:
        yield including
    slot = rule.next_after(after, anchor)
    yield from takewhile(lambda each: each <= until, _from(rule, slot, anchor))


def _from(rule: Rule, slot: datetime | None, anchor: datetime) -> Iterator[datetime]:
    while slot is not None:
        yield slot
        slot = rule.next_after(slot, anchor)
