"""Rows of the portable way: messages as they are inserted and changed, reservations and results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Case, F, QuerySet, Value, When
from django.db.models.functions import Concat
from django.utils import timezone

from djtasks.domain import payloads
from djtasks.domain.messages import Demand, NewMessage, Reservation
from djtasks.domain.outcomes import Ending, Released, Retry, Settlement
from djtasks.domain.workflows import NO_EDGES, NOTHING
from djtasks.models import Invocation, Message, Result

LATEST = datetime(9999, 12, 1, tzinfo=UTC).timestamp()

# What a result takes over from its message as it stands.
CARRIED = tuple(field.name for field in Invocation._meta.local_fields if field.name not in ("errors", "started_at"))


def message_of(new: NewMessage, now: datetime) -> Message:
    """Make the row of a new message; the time of one that is blocked begins when it is blocked no longer."""
    due_at = later(now, new.delay) if new.due_at is None else moment_at(new.due_at)
    expires_at = later(now, new.expires_in) if new.expires_at is None else moment_at(new.expires_at)
    return Message(
        id=new.id,
        task=new.task,
        args=Value(new.args),
        kwargs=Value(new.kwargs),
        queue=new.queue,
        priority=new.priority,
        due_at=None if new.blocked else due_at,
        expires_at=None if new.blocked and new.expires_at is None else expires_at,
        acks_late=new.acks_late,
        options=Value(new.options),
        group=new.group,
        root=new.root,
        parent=new.parent,
        inputs=new.inputs,
        feeds=new.feeds,
        delay=new.delay if new.blocked else None,
        eta=due_at if new.blocked and new.due_at is not None else None,
        lifetime=new.expires_in if new.blocked else None,
        enqueued_at=now,
    )


def in_queues(messages: QuerySet[Message], demand: Demand) -> QuerySet[Message]:
    """Leave out the queues that a demand does not ask for."""
    wanted = messages.exclude(queue__in=demand.excluded)
    return wanted if demand.queues is None else wanted.filter(queue__in=demand.queues)


def chosen(ready: QuerySet[Message], demand: Demand, now: datetime) -> QuerySet[Message]:
    """Leave out what a demand does not choose, and put what has waited too long before everything else."""
    if demand.without:
        ready = ready.exclude(task__in=demand.without)
    if demand.only:
        ready = ready.filter(task__in=demand.only)
    if demand.chooses and demand.marks is not None:
        bounds = [demand.since or 0.0, *(mark.due_at for mark in demand.marks)]
        ready = ready.filter(due_at__gte=moment_at(min(bounds)))
    order: list[Any] = ["-priority", "due_at", "id"]
    if demand.ageing is not None:
        aged = Case(When(due_at__lte=later(now, -demand.ageing), then=F("due_at")), default=None)
        order.insert(0, aged.asc(nulls_last=True))
    return ready.order_by(*order)


def leased(
    row: Mapping[str, Any], demand: Demand, now: datetime, inputs: str | None
) -> tuple[dict[str, Any], Reservation]:
    """Say what reserving writes into a row, and make the reservation."""
    lapsed = row["leased_until"] is not None
    begun = lapsed and row["started_at"] is not None
    changes: dict[str, Any] = {
        "leased_until": later(now, demand.lease),
        "worker": demand.worker,
        "deliveries": row["deliveries"] + 1,
    }
    if lapsed:
        changes["errors"] = Concat(F("errors"), Value(lapse_error(row) + "\n"))
        if begun or not row["losses"]:
            changes["losses"] = row["losses"] + 1
    elif demand.begin and row["acks_late"] is False and row["revoked_at"] is None:
        changes["started_at"] = now
    return changes, reservation_of({**row, **changes}, begun, now, inputs)


def put_back(settlement: Settlement, now: datetime) -> dict[str, Any]:
    """Say what an outcome that ends nothing writes into the row of its message."""
    changes: dict[str, Any] = {"leased_until": None, "started_at": None, "state": "", "meta": None}
    outcome = settlement.outcome
    if isinstance(outcome, Retry):
        changes["retries"] = F("retries") + 1
        changes["due_at"] = later(now, outcome.delay) if outcome.due_at is None else moment_at(outcome.due_at)
        for name in ("args", "kwargs", "queue", "priority"):
            if (value := getattr(outcome, name)) is not None:
                changes[name] = Value(value) if name in ("args", "kwargs") else value
        if outcome.args is not None:
            changes["inputs"] = Case(When(inputs=NO_EDGES, then=Value(NO_EDGES)), default=Value(NOTHING))
    elif isinstance(outcome, Released):
        if outcome.delay:
            changes["due_at"] = later(now, outcome.delay)
        if outcome.loss:
            changes["losses"] = F("losses") + 1
    if error := getattr(outcome, "error", ""):
        changes["errors"] = Concat(F("errors"), Value(error + "\n"))
    return changes


def unblocked(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Say what becomes of the time of a message that is blocked no longer."""
    due_at = later(now, row["delay"] or 0.0)
    changes = {"due_at": due_at if row["eta"] is None else max(due_at, row["eta"])}
    if row["lifetime"] is not None:
        changes["expires_at"] = later(now, row["lifetime"])
    return changes


def reservation_of(row: Mapping[str, Any], begun: bool, now: datetime, inputs: str | None) -> Reservation:
    """Make the reservation of a message's row."""
    return Reservation(
        id=str(row["id"]),
        deliveries=row["deliveries"],
        task=row["task"],
        args=as_text(row["args"]),
        kwargs=as_text(row["kwargs"]),
        queue=row["queue"],
        priority=row["priority"],
        due_at=epoch_of(row["due_at"]) or 0.0,
        retries=row["retries"],
        losses=row["losses"],
        acks_late=row["acks_late"],
        started_at=epoch_of(row["started_at"]),
        begun_before=begun,
        revoked=row["revoked_at"] is not None,
        expires_at=epoch_of(row["expires_at"]),
        enqueued_at=epoch_of(row["enqueued_at"]) or 0.0,
        options=as_text(row["options"]),
        group=as_id(row["group"]),
        root=as_id(row["root"]),
        parent=as_id(row["parent"]),
        reserved_at=epoch_of(now) or 0.0,
        feeds=row["feeds"],
        handed=inputs,
    )


def result_of(row: Mapping[str, Any], ending: Ending, now: datetime, hostname: str, retention: float | None) -> Result:
    """Make the result of a message's row and of how it ended."""
    carried = {name: row[name] for name in CARRIED}
    for name in ("args", "kwargs", "options"):
        carried[name] = Value(as_text(carried[name]))
    return Result(
        **carried,
        state=str(ending.state),
        value=None if ending.value is None else Value(ending.value),
        errors="".join(json.dumps(error) + "\n" for error in row["errors"]) + (ending.error and ending.error + "\n"),
        started_at=row["started_at"] if ending.started_at is None else moment_at(ending.started_at),
        finished_at=now,
        hostname=hostname,
        expires_at=later(now, retention),
    )


def adopted(reservation: Reservation, errors: Sequence[Mapping[str, Any]]) -> Reservation:
    """Say of a reservation that nobody heard of whether its body had begun before: for a delivery noted as lost last.

    The moments do not tell, for this may be asked twice, and the lease was renewed in between.
    """
    last = errors[-1] if errors else {}
    lost = last.get("kind") == "lost" and last.get("delivery") == reservation.deliveries - 1
    return reservation._replace(begun_before=lost and reservation.started_at is not None)


def lapse_error(row: Mapping[str, Any]) -> str:
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


def later(now: datetime, seconds: float | None) -> Any:
    """A moment so many seconds after another; None for None."""
    return None if seconds is None else now + timedelta(seconds=seconds)


def moment_at(epoch: float) -> datetime:
    """Seconds since the epoch as this project's kind of datetime; a spoilt row may speak of a year that is none."""
    moment = datetime.fromtimestamp(min(max(epoch, 0.0), LATEST), tz=timezone.get_default_timezone())
    return moment if timezone.is_aware(timezone.now()) else timezone.make_naive(moment)


def epoch_of(moment: datetime | None) -> float | None:
    """A datetime of this project as seconds since the epoch."""
    if moment is None:
        return None
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).timestamp()
