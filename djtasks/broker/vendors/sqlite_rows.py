"""Rows as SQLite's driver gives and takes them: ids are hexadecimal, moments are text.

A column may hold anything that was written into it by hand, and must not end the worker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from djtasks.broker.vendors.rows import CARRIED, moment_at
from djtasks.domain.messages import Demand, NewMessage, Reservation, Token
from djtasks.domain.outcomes import Ending, Released, Retry, Settlement

Row = dict[str, Any]
_IDS = ("id", "group", "root", "parent")


class Clock:
    """One moment, from which a transaction counts; texts in UTC or, without USE_TZ, in the project's own time zone."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.moment = timezone.now()
        self.now = self.text(self.moment)
        self.epoch = self.seconds(self.now)

    def text(self, moment: datetime) -> str:
        """Write a moment as it stands in the tables."""
        return str(self.connection.ops.adapt_datetimefield_value(moment))

    def later(self, seconds: float) -> str:
        """Write the moment so many seconds from now."""
        return self.text(self.moment + timedelta(seconds=seconds))

    def at(self, epoch: float) -> str:
        """Write the moment so many seconds after the epoch."""
        return self.text(moment_at(epoch))

    def seconds(self, text: str) -> float:
        """Read a moment as seconds since the epoch."""
        try:
            moment = datetime.fromisoformat(text)
            aware = timezone.make_aware(moment, self.connection.timezone) if timezone.is_naive(moment) else moment
            return aware.timestamp()
        except (TypeError, ValueError, OverflowError):
            return 0.0

    def optional(self, text: str | None) -> float | None:
        """Read a moment that may be missing."""
        return None if text is None else self.seconds(text)


def new_row(new: NewMessage, clock: Clock) -> Row:
    """Give the parameters of INSERT; the time of one that is blocked begins when it is blocked no longer."""
    due_at = clock.later(new.delay) if new.due_at is None else clock.at(new.due_at)
    expires_at = None if new.expires_at is None else clock.at(new.expires_at)
    if expires_at is None and new.expires_in is not None and not new.blocked:
        expires_at = clock.later(new.expires_in)
    ids = {
        name: each and UUID(each).hex
        for name, each in zip(_IDS, (new.id, new.group, new.root, new.parent), strict=True)
    }
    return {
        **new._asdict(),
        **ids,
        "due_at": None if new.blocked else due_at,
        "expires_at": expires_at,
        "delay": new.delay if new.blocked else None,
        "eta": due_at if new.blocked and new.due_at is not None else None,
        "lifetime": new.expires_in if new.blocked else None,
        "enqueued_at": clock.now,
    }


def reading(demand: Demand, pairs: Iterable[tuple[str, int]], clock: Clock) -> list[Row]:
    """Give the parameters of RESERVE, or of RESERVE_CHOSEN, for each queue and priority."""
    common: Row = {
        "now": clock.now,
        "until": clock.later(demand.lease),
        "worker": UUID(demand.worker).hex,
        "lapsed": demand.lapsed,
        "begin": demand.begin,
        "only": json.dumps(demand.only),
        "without": json.dumps(demand.without),
        "aged": None if demand.ageing is None or demand.marks is not None else clock.later(-demand.ageing),
    }
    marks = {(mark.queue, mark.priority): (clock.at(mark.due_at), UUID(mark.id).hex) for mark in demand.marks or ()}
    start = ("" if demand.since is None else clock.at(demand.since), "")
    rows = []
    for queue, priority in pairs:
        from_due, from_id = marks.get((queue, priority), start)
        rows.append({**common, "queue": queue, "priority": priority, "from_due": from_due, "from_id": from_id})
    return rows


def reservation_of(row: Row, clock: Clock, inputs: str | None) -> Reservation:
    """Make the reservation of a message's row."""
    return Reservation(
        id=id_of(row["id"]) or "",
        deliveries=row["deliveries"],
        task=row["task"],
        args=row["args"],
        kwargs=row["kwargs"],
        queue=row["queue"],
        priority=row["priority"],
        due_at=clock.seconds(row["due_at"]),
        retries=row["retries"],
        losses=row["losses"],
        acks_late=None if row["acks_late"] is None else bool(row["acks_late"]),
        started_at=clock.optional(row["started_at"]),
        begun_before=bool(row["begun_before"]),
        revoked=row["revoked_at"] is not None,
        expires_at=clock.optional(row["expires_at"]),
        enqueued_at=clock.seconds(row["enqueued_at"]),
        options=row["options"],
        group=id_of(row["group"]),
        root=id_of(row["root"]),
        parent=id_of(row["parent"]),
        reserved_at=clock.epoch,
        feeds=row["feeds"],
        handed=inputs,
    )


def result_of(row: Row, ending: Ending, clock: Clock, hostname: str, retention: float | None) -> Row:
    """Give the parameters of KEEP: what a message's row and its ending say."""
    return {
        **{column: row[column] for column in CARRIED},
        "errors": row["errors"] + (ending.error and ending.error + "\n"),
        "started_at": row["started_at"] if ending.started_at is None else clock.at(ending.started_at),
        "state": ending.state,
        "value": ending.value,
        "hostname": hostname,
        "finished_at": clock.now,
        "expires_at": None if retention is None else clock.later(retention),
    }


def put_back(settlement: Settlement, clock: Clock) -> Row:
    """Give the parameters of PUT_BACK."""
    outcome = settlement.outcome
    retry = outcome if isinstance(outcome, Retry) else None
    error = getattr(outcome, "error", "")
    due_at = None
    if retry:
        due_at = clock.later(retry.delay) if retry.due_at is None else clock.at(retry.due_at)
    elif isinstance(outcome, Released) and outcome.delay:
        due_at = clock.later(outcome.delay)
    return {
        **key_of(settlement.token),
        "retry": retry is not None,
        "loss": isinstance(outcome, Released) and outcome.loss,
        "error": error and error + "\n",
        "due_at": due_at,
        "args": retry and retry.args,
        "kwargs": retry and retry.kwargs,
        "queue": retry and retry.queue,
        "priority": retry and retry.priority,
    }


def id_of(text: Any) -> str | None:
    """Read an id, or None for what is none."""
    try:
        return str(UUID(text))
    except (TypeError, ValueError, AttributeError):
        return None


def key_of(token: Token) -> Row:
    """Give the parameters by which a held message is found."""
    return {"id": UUID(token.id).hex, "deliveries": token.deliveries}
