"""Let the time pass for the queue.

The clock of a database cannot be set, so it is the moments in the queue's rows that move: an hour later is an hour
earlier for all of them. What Python calls now stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Value
from django.utils import timezone

from djtasks.beat.declared import synchronise
from djtasks.beat.tick import tick
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.models import Message
from djtasks.models.clock import Now

MOMENTS = tuple(field.name for field in Message._meta.concrete_fields if isinstance(field, DateTimeField))


class _Journey:
    """How far the queue is ahead of its database's clock."""

    ahead = timedelta()


@contextmanager
def travel(to: datetime | timedelta | float, *, beat: bool = True) -> Iterator[None]:
    """Let the time pass, until a moment or for a duration, which may be in seconds, while this lasts.

    Delayed messages and retries come due, leases run out, messages expire. What schedules are to send by then is sent,
    as by a beat that was away for so long, unless ``beat`` is off.
    """
    before = _Journey.ahead
    distance = _distance(to)
    if distance < timedelta():
        raise ValueError(f"the time passes in one direction alone, and {to} is {-distance} ago")
    if beat:
        _beat()
    _Journey.ahead = before + distance
    _move_rows(-distance)
    try:
        if beat:
            _beat()
        yield
    finally:
        _Journey.ahead = before
    _move_rows(distance)


def present() -> datetime:
    """Return what the queue's clock shows."""
    return timezone.now() + _Journey.ahead


def ahead() -> timedelta:
    """Return how far the queue has travelled."""
    return _Journey.ahead


def _distance(to: datetime | timedelta | float) -> timedelta:
    if isinstance(to, datetime):
        return to - present()
    return to if isinstance(to, timedelta) else timedelta(seconds=to)


def _move_rows(distance: timedelta) -> None:
    messages = Message.objects.using(settings.DATABASE)
    messages.update(**{name: _later(F(name), distance) for name in MOMENTS})


def _beat() -> None:
    """Send what is due, as a beat that has just begun."""
    vendor = shared_vendor()
    vendor.clock = _later(Now(), _Journey.ahead)
    synchronise()
    tick(vendor)
    # What it has set for its own transactions lasts as long as that of the test.
    vendor.limit_idling(0)


def _later(moment: Now | F, distance: timedelta) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(moment + Value(distance, DurationField()), DateTimeField())
