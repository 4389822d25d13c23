"""The queue on SQLite: short writes, one statement each or behind BEGIN IMMEDIATE."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone

from djtasks.broker.vendors import sqlite_statements as sql
from djtasks.broker.vendors.base import Exchange, Listener, Renewed, Vendor
from djtasks.domain.messages import Demand, Reservation, Supply, Token
from djtasks.domain.outcomes import Ending, Released, Retry, Settlement, ending_of

Row = dict[str, Any]


class SqliteVendor(Vendor):
    """SQLite 3.35 and newer; any number of processes on one host."""

    one_writer: ClassVar[bool] = True

    def exchange(
        self,
        settlements: Sequence[Settlement],
        begin: Sequence[tuple[Token, bool]],
        demand: Demand | None,
        *,
        hostname: str,
        retention: float | None,
    ) -> Exchange:
        settled, begun = set(), set()
        if settlements or begin:
            with self._transaction() as raw:
                for settlement in settlements:
                    ending = ending_of(settlement)
                    if self._finish(raw, ending, hostname, retention) if ending else self._return(raw, settlement):
                        settled.add(settlement.token)
                for token, late in begin:
                    if raw.execute(sql.BEGIN, (self._text(), late, _key(token), token.deliveries)).rowcount:
                        begun.add(token)
        return Exchange(settled, begun, self._receive(demand) if demand else Supply([]))

    def _finish(self, raw: sqlite3.Connection, ending: Ending, hostname: str, retention: float | None) -> bool:
        found = raw.execute(sql.END, (_key(ending.token), ending.token.deliveries)).fetchone()
        if found is None:
            return False
        row = dict(zip(sql.COLUMNS, found, strict=True))
        if ending.state is not None:
            carried = [row[name] for name in ("id", "task", "args", "kwargs", "queue", "priority", "retries")]
            carried += [row[name] for name in ("deliveries", "losses", "options")]
            carried.append(row["errors"] + (ending.error and ending.error + "\n"))
            carried += [row[name] for name in ("worker", "group", "root", "parent", "enqueued_at", "due_at")]
            carried.append(row["started_at"] if ending.started_at is None else self._text(ending.started_at))
            expires_at = None if retention is None else self._text(delay=retention)
            raw.execute(sql.KEEP, (*carried, ending.state, ending.value, hostname, self._text(), expires_at))
        return True

    def _return(self, raw: sqlite3.Connection, settlement: Settlement) -> bool:
        outcome = settlement.outcome
        error = getattr(outcome, "error", "")
        due_at = None
        if isinstance(outcome, Retry):
            due_at = self._text(delay=outcome.delay) if outcome.due_at is None else self._text(outcome.due_at)
        elif isinstance(outcome, Released) and outcome.delay:
            due_at = self._text(delay=outcome.delay)
        changes = {
            name: getattr(outcome, name, None) if isinstance(outcome, Retry) else None
            for name in ("args", "kwargs", "queue", "priority")
        }
        parameters = {
            **changes,
            "id": _key(settlement.token),
            "deliveries": settlement.token.deliveries,
            "retry": isinstance(outcome, Retry),
            "loss": isinstance(outcome, Released) and outcome.loss,
            "error": error and error + "\n",
            "due_at": due_at,
        }
        return bool(raw.execute(sql.PUT_BACK, parameters).rowcount)

    def _receive(self, demand: Demand) -> Supply:
        raw = self._raw()
        received: list[Row] = []
        with self.connection.wrap_database_errors:
            pairs = sorted(self._pairs(raw, demand), key=lambda pair: (-pair[1], random.random()))
            for queue, priority in pairs:
                parameters = {
                    "queue": queue,
                    "priority": priority,
                    "now": self._text(),
                    "until": self._text(delay=demand.lease),
                    "worker": UUID(demand.worker).hex,
                    "lapsed": demand.lapsed,
                    "begin": demand.begin,
                    "limit": demand.limit - len(received),
                }
                # A reader waits for nobody; an idle worker must not take the write lock.
                if raw.execute(sql.ANY_READY, parameters).fetchone():
                    rows = raw.execute(sql.RESERVE, parameters).fetchall()
                    received += (dict(zip(sql.RESERVED_COLUMNS, row, strict=True)) for row in rows)
                if len(received) == demand.limit:
                    return Supply(self._reservations(received))
            return Supply(self._reservations(received), self._next_due(raw, pairs))

    def _pairs(self, raw: sqlite3.Connection, demand: Demand) -> Iterator[tuple[str, int]]:
        """Yield each queue and priority in use: one probe of the index for each."""
        for queue in self._queues(raw) if demand.queues is None else demand.queues:
            priority = 32768
            while queue not in demand.excluded and (
                found := raw.execute(sql.NEXT_PRIORITY, (queue, priority)).fetchone()
            ):
                (priority,) = found
                yield queue, priority

    def _queues(self, raw: sqlite3.Connection) -> Iterator[str]:
        queue = ""
        while found := raw.execute(sql.NEXT_QUEUE, (queue,)).fetchone():
            (queue,) = found
            yield queue

    def _next_due(self, raw: sqlite3.Connection, pairs: list[tuple[str, int]]) -> float | None:
        found = [raw.execute(sql.NEXT_DUE, (*pair, self._text())).fetchone() for pair in pairs]
        dues = [self._epoch(row[0]) for row in found if row]
        return max(0.0, min(dues) - time.time()) if dues else None

    def _reservations(self, rows: list[Row]) -> list[Reservation]:
        rows.sort(key=lambda row: (-row["priority"], row["due_at"], row["id"]))
        return [self._reservation(row) for row in rows if _id(row["id"])]

    def _reservation(self, row: Row) -> Reservation:
        return Reservation(
            id=_id(row["id"]) or "",
            deliveries=row["deliveries"],
            task=row["task"],
            args=row["args"],
            kwargs=row["kwargs"],
            queue=row["queue"],
            priority=row["priority"],
            due_at=self._epoch(row["due_at"]),
            retries=row["retries"],
            losses=row["losses"],
            acks_late=None if row["acks_late"] is None else bool(row["acks_late"]),
            started_at=self._optional(row["started_at"]),
            begun_before=bool(row["begun_before"]),
            revoked=row["revoked_at"] is not None,
            expires_at=self._optional(row["expires_at"]),
            enqueued_at=self._epoch(row["enqueued_at"]),
            options=row["options"],
            group=_id(row["group"]),
            root=_id(row["root"]),
            parent=_id(row["parent"]),
            reserved_at=time.time(),
        )

    def renew(self, tokens: Collection[Token], lease: float) -> Renewed:
        held, revoked = set(), set()
        with self._transaction() as raw:
            until = self._text(delay=lease)
            for token in tokens:
                if found := raw.execute(sql.RENEW, (until, _key(token), token.deliveries)).fetchone():
                    held.add(token)
                    if found[0]:
                        revoked.add(token)
        return Renewed(held, revoked)

    def lives(self, message_id: str) -> bool:
        with self.connection.wrap_database_errors:
            return bool(self._raw().execute(sql.LIVES, (UUID(message_id).hex,)).fetchone()[0])

    def listen(self, *channels: str) -> Listener:
        return SqliteListener(self)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        raw = self._raw()
        with self.connection.wrap_database_errors:
            raw.execute(sql.BEGIN_IMMEDIATE)
            try:
                yield raw
            except BaseException:
                raw.execute(sql.ROLLBACK)
                raise
            raw.execute(sql.COMMIT)

    def _raw(self) -> sqlite3.Connection:
        self.connection.ensure_connection()
        raw: sqlite3.Connection = self.connection.connection
        return raw

    # SQLite keeps moments as text, in UTC or, without USE_TZ, in the project's own time zone.

    def _text(self, epoch: float | None = None, *, delay: float = 0.0) -> str:
        moment = self.now() + timedelta(seconds=delay) if epoch is None else self.moment(epoch)
        return str(self.connection.ops.adapt_datetimefield_value(moment))

    def _epoch(self, text: str) -> float:
        try:
            moment = datetime.fromisoformat(text)
            return (
                timezone.make_aware(moment, self.connection.timezone) if timezone.is_naive(moment) else moment
            ).timestamp()
        # A column may hold anything that was written into it by hand; it must not end the worker.
        except (TypeError, ValueError, OverflowError):
            return 0.0

    def _optional(self, text: str | None) -> float | None:
        return None if text is None else self._epoch(text)


class SqliteListener(Listener):
    """Wakes when any other connection has written: SQLite counts that in memory, so looking costs nearly nothing."""

    def __init__(self, vendor: SqliteVendor, poll_seconds: float = 0.02) -> None:
        super().__init__(vendor, poll_seconds)
        self.seen = self._version()

    def _version(self) -> int:
        self.vendor.connection.ensure_connection()
        with self.vendor.connection.wrap_database_errors:
            return int(self.vendor.connection.connection.execute(sql.DATA_VERSION).fetchone()[0])

    def wait(self, timeout: float) -> Iterable[str] | None:
        deadline = time.monotonic() + timeout
        while (version := self._version()) == self.seen and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, self.poll_seconds))
        changed, self.seen = version != self.seen, version
        return ["*"] if changed else []


def _key(token: Token) -> str:
    return UUID(token.id).hex


def _id(text: Any) -> str | None:
    """An id as text, or None for what is none: a column may hold anything that was written into it by hand."""
    try:
        return str(UUID(text))
    except (TypeError, ValueError, AttributeError):
        return None
