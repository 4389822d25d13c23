"""Rows of the portable path as reservations and results."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Value

from djtasks.domain import payloads
from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Ending
from djtasks.models import Result

CARRIED = ("id", "task", "args", "kwargs", "queue", "priority", "retries", "deliveries", "losses", "options")
CARRIED += ("worker", "group", "root", "parent", "enqueued_at", "due_at")


def reservation_of(
    row: dict[str, Any], begun_before: bool, now: datetime, epoch: Callable[[datetime | None], float | None]
) -> Reservation:
    """Make the reservation of a message's row."""
    return Reservation(
        id=str(row["id"]),
        deliveries=row["deliveries"],
        task=row["task"],
        args=as_text(row["args"]),
        kwargs=as_text(row["kwargs"]),
        queue=row["queue"],
        priority=row["priority"],
        due_at=epoch(row["due_at"]) or 0.0,
        retries=row["retries"],
        losses=row["losses"],
        acks_late=row["acks_late"],
        started_at=epoch(row["started_at"]),
        begun_before=begun_before,
        revoked=row["revoked_at"] is not None,
        expires_at=epoch(row["expires_at"]),
        enqueued_at=epoch(row["enqueued_at"]) or 0.0,
        options=as_text(row["options"]),
        group=as_id(row["group"]),
        root=as_id(row["root"]),
        parent=as_id(row["parent"]),
        reserved_at=epoch(now) or 0.0,
    )


def result_of(
    row: dict[str, Any],
    ending: Ending,
    now: datetime,
    hostname: str,
    expires_at: datetime | None,
    moment: Callable[[float], datetime],
) -> Result:
    """Make the result of a message's row and of how it ended."""
    carried = {name: row[name] for name in CARRIED}
    for name in ("args", "kwargs", "options"):
        carried[name] = Value(as_text(carried[name]))
    return Result(
        **carried,
        state=ending.state,
        value=None if ending.value is None else Value(ending.value),
        errors="".join(json.dumps(error) + "\n" for error in row["errors"]) + (ending.error and ending.error + "\n"),
        started_at=row["started_at"] if ending.started_at is None else moment(ending.started_at),
        finished_at=now,
        hostname=hostname,
        expires_at=expires_at,
    )


def begun_elsewhere(row: dict[str, Any], length: timedelta) -> bool:
    """Say whether a body had begun before its message was leased for that length."""
    return bool(row["started_at"] and row["started_at"] < row["leased_until"] - length)


def lapse_error(row: dict[str, Any]) -> str:
    """Describe the loss of a delivery whose lease ran out."""
    return json.dumps(
        {
            "kind": "lost",
            "type": "djtasks.exceptions.WorkerLostError",
            "message": "the lease ran out: the worker died, or was cut off from the database",
            "worker": as_id(row["worker"]),
            "delivery": row["deliveries"],
            "started_at": row["started_at"].isoformat() if row["started_at"] else None,
            "failed_at": row["leased_until"].isoformat(),
        }
    )


def as_text(value: Any) -> str:
    """The JSON text of a payload that the ORM has decoded, or could not."""
    return value if isinstance(value, str) else payloads.encode(value, where="stored payload")


def as_id(value: Any) -> str | None:
    """An id as text."""
    return None if value is None else str(value)
