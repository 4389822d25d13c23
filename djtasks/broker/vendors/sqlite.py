"""The queue on SQLite: short writes, one statement each or behind BEGIN IMMEDIATE."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from djtasks.broker.vendors import sqlite_statements as sql
from djtasks.broker.vendors.answers import Exchange, Renewed
from djtasks.broker.vendors.base import Listener, unencodable_refused
from djtasks.broker.vendors.portable import PortableVendor
from djtasks.broker.vendors.sqlite_rows import Clock, Row, id_of, key_of, put_back, reservation_of, result_of
from djtasks.domain.messages import Demand, Supply, Token
from djtasks.domain.outcomes import Settlement, ending_of

Pairs = list[tuple[str, int]]


class SqliteVendor(PortableVendor):
    """SQLite 3.35 and newer; any number of processes on one host."""

    one_writer = True
    transient_codes = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT})

    def exchange(
        self,
        settlements: Sequence[Settlement],
        begin: Sequence[tuple[Token, bool]],
        demand: Demand | None,
        *,
        hostname: str,
        retention: float | None,
    ) -> Exchange:
        with self._raw() as raw, self._writing(raw) if settlements or begin else nullcontext():
            clock = Clock(self.connection)
            settled = {each.token for each in settlements if self._settled(raw, each, clock, hostname, retention)}
            begun = {token for token, late in begin if self._begun(raw, token, late, clock)}
            supply = self._receive(raw, demand) if demand else Supply([])
        return Exchange(settled, begun, supply)

    def _settled(
        self, raw: sqlite3.Connection, settlement: Settlement, clock: Clock, hostname: str, retention: float | None
    ) -> bool:
        ending = ending_of(settlement)
        if ending is None:
            return bool(raw.execute(sql.PUT_BACK, put_back(settlement, clock)).rowcount)
        found = raw.execute(sql.END, key_of(settlement.token)).fetchone()
        if found and ending.state is not None:
            row = dict(zip(sql.COLUMNS, found, strict=True))
            raw.execute(sql.KEEP, result_of(row, ending, clock, hostname, retention))
        return found is not None

    def _begun(self, raw: sqlite3.Connection, token: Token, late: bool, clock: Clock) -> bool:
        return bool(raw.execute(sql.BEGIN, {**key_of(token), "now": clock.now, "late": late}).rowcount)

    # Reserving

    def _receive(self, raw: sqlite3.Connection, demand: Demand) -> Supply:
        clock = Clock(self.connection)
        pairs = sorted(self._pairs(raw, demand), key=lambda pair: (-pair[1], random.random()))
        parameters = {
            "now": clock.now,
            "until": clock.later(demand.lease),
            "worker": UUID(demand.worker).hex,
            "lapsed": demand.lapsed,
            "begin": demand.begin,
        }
        # A reader waits for nobody; an idle worker must not take the write lock.
        ready = [
            {**parameters, "queue": queue, "priority": priority}
            for queue, priority in pairs
            if raw.execute(sql.ANY_READY, {**parameters, "queue": queue, "priority": priority}).fetchone()
        ]
        received: list[Row] = []
        with self._writing(raw) if ready else nullcontext():
            for pair in ready:
                rows = raw.execute(sql.RESERVE, {**pair, "limit": demand.limit - len(received)}).fetchall()
                received += (dict(zip(sql.RESERVED_COLUMNS, row, strict=True)) for row in rows)
        received.sort(key=lambda row: (-row["priority"], row["due_at"], row["id"]))
        next_due = self._next_due(raw, pairs, clock) if len(received) < demand.limit else None
        return Supply([reservation_of(row, clock) for row in received if id_of(row["id"])], next_due)

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

    def _next_due(self, raw: sqlite3.Connection, pairs: Pairs, clock: Clock) -> float | None:
        found = [raw.execute(sql.NEXT_DUE, (*pair, clock.now)).fetchone() for pair in pairs]
        dues = [clock.seconds(row[0]) for row in found if row]
        return max(0.0, min(dues) - clock.epoch) if dues else None

    # The other verbs

    def renew(self, tokens: Collection[Token], lease: float) -> Renewed:
        held, revoked = set(), set()
        with self._raw() as raw, self._writing(raw):
            until = Clock(self.connection).later(lease)
            for token in tokens:
                if found := raw.execute(sql.RENEW, {**key_of(token), "until": until}).fetchone():
                    held.add(token)
                    if found[0] is not None:
                        revoked.add(token)
        return Renewed(held, revoked)

    def purge_results(self, limit: int) -> int:
        with self._raw() as raw:
            return raw.execute(sql.PURGE_RESULTS, (Clock(self.connection).now, limit)).rowcount

    def lives(self, message_id: str) -> bool:
        with self._raw() as raw:
            return bool(raw.execute(sql.LIVES, (UUID(message_id).hex,)).fetchone()[0])

    def listen(self, *channels: str) -> Listener:
        return SqliteListener(self)

    def now(self) -> datetime:
        # The database has no clock of its own, and all who use it are on this host.
        return timezone.now()

    @contextmanager
    def _raw(self) -> Iterator[sqlite3.Connection]:
        self.connection.ensure_connection()
        with self.connection.wrap_database_errors, unencodable_refused():
            yield self.connection.connection

    @contextmanager
    def _writing(self, raw: sqlite3.Connection) -> Iterator[None]:
        """Hold the write lock: for this transaction, or with that which is open already."""
        if raw.in_transaction:
            yield
            return
        raw.execute(sql.BEGIN_IMMEDIATE)
        try:
            yield
            raw.execute(sql.COMMIT)
        finally:
            if raw.in_transaction:
                raw.execute(sql.ROLLBACK)


class SqliteListener(Listener):
    """Wakes when any other connection has written: SQLite counts that in memory, so looking costs nearly nothing."""

    def __init__(self, vendor: SqliteVendor, poll_seconds: float = 0.02) -> None:
        super().__init__(vendor, poll_seconds)
        self.seen = self._version()

    def _version(self) -> int:
        self.vendor.connection.ensure_connection()
        with self.vendor.connection.wrap_database_errors:
            return int(self.vendor.connection.connection.execute(sql.DATA_VERSION).fetchone()[0])

    def wait(self, timeout: float) -> Iterable[str]:
        deadline = time.monotonic() + timeout
        while (version := self._version()) == self.seen and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, self.poll_seconds))
        changed, self.seen = version != self.seen, version
        return ["*"] if changed else []
