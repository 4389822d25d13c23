"""What the tests of the broker say: send, reserve, settle, let leases lapse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db import connections, transaction

from djtasks.broker.vendors import Exchange, Vendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Demand, NewMessage, Reservation, Token
from djtasks.domain.outcomes import Outcome, Settlement, Success
from djtasks.models import Message, Result
from djtasks.models.clock import Now

WORKER = str(uuid4())
OTHER_WORKER = str(uuid4())
LEASE = 60.0
DONE = Success('"done"')


def new(**given: Any) -> NewMessage:
    return NewMessage(**{"id": str(uuid7()), "task": "tests.add", "args": "[1,2]", **given})


def send(vendor: Vendor, count: int = 1, **given: Any) -> list[str]:
    """Insert messages that are alike; return their ids."""
    messages = [new(**given) for _ in range(count)]
    vendor.insert(messages)
    return [message.id for message in messages]


def demand(limit: int = 100, **given: Any) -> Demand:
    return Demand(**{"worker": WORKER, "limit": limit, "lease": LEASE, **given})


def exchange(
    vendor: Vendor,
    settlements: Iterable[Settlement] = (),
    begin: Iterable[tuple[Token, bool]] = (),
    wanted: Demand | None = None,
    retention: float | None = None,
) -> Exchange:
    return vendor.exchange(list(settlements), list(begin), wanted, hostname="host", retention=retention)


def reserve(vendor: Vendor, limit: int = 100, **given: Any) -> list[Reservation]:
    return exchange(vendor, wanted=demand(limit, **given)).supply.reservations


def reserve_one(vendor: Vendor, **given: Any) -> Reservation:
    (reservation,) = reserve(vendor, **given)
    return reservation


def held(vendor: Vendor, **given: Any) -> Reservation:
    """Send one message and reserve it."""
    (message_id,) = send(vendor, **given)
    return next(message for message in reserve(vendor) if message.id == message_id)


def settled(vendor: Vendor, token: Token, outcome: Outcome = DONE, **given: Any) -> bool:
    """Settle one delivery; say whether that was written."""
    return token in exchange(vendor, [Settlement(token, outcome)], **given).settled


def begun(vendor: Vendor, token: Token, late: bool = False) -> bool:
    return token in exchange(vendor, begin=[(token, late)]).begun


def ask(vendor: Vendor, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the server itself, on this vendor's own connection."""
    with vendor.connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def let_leases_lapse(*ids: str) -> None:
    """Let the time of leases be over."""
    leased = Message.objects.filter(leased_until__isnull=False)
    (leased.filter(pk__in=ids) if ids else leased).update(leased_until=Now() - timedelta(seconds=5))


def let_come_due(*ids: str) -> None:
    Message.objects.filter(pk__in=ids).update(due_at=Now() - timedelta(seconds=5))


def row(message_id: str) -> Message:
    return Message.objects.get(pk=message_id)


def lives(message_id: str) -> bool:
    return Message.objects.filter(pk=message_id).exists()


def result(message_id: str) -> Result | None:
    return Result.objects.filter(pk=message_id).first()


def error(text: str, **given: Any) -> str:
    return json.dumps({"kind": "failure", "type": "ValueError", "message": text, **given})


def facts(message_id: str) -> dict[str, Any]:
    """All that the row of a message says, to compare it with itself later."""
    return Message.objects.filter(pk=message_id).values().get()


@contextmanager
def open_transaction(vendor: Vendor, *, commit: bool = True) -> Iterator[None]:
    """Keep a transaction open on this vendor's own connection, whatever happens on it."""
    with _bound(vendor):
        transaction.atomic(using=vendor.alias).__enter__()
    try:
        yield
    finally:
        with _bound(vendor):
            if not commit:
                transaction.set_rollback(True, using=vendor.alias)
            transaction.atomic(using=vendor.alias).__exit__(None, None, None)


def locks_rows(vendor: Vendor) -> bool:
    """Say whether two can write at a time; on SQLite the second waits for the first."""
    return vendor.connection.features.has_select_for_update_skip_locked


@contextmanager
def _bound(vendor: Vendor) -> Iterator[None]:
    usual = connections[vendor.alias]
    connections[vendor.alias] = vendor.connection
    try:
        yield
    finally:
        connections[vendor.alias] = usual
