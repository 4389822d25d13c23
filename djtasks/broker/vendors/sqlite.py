"""The queue on SQLite: short writes, one statement each or behind BEGIN IMMEDIATE."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from djtasks.broker.vendors import sqlite_statements as sql
from djtasks.broker.vendors.answers import Announcement, Exchange
from djtasks.broker.vendors.base import Listener
from djtasks.broker.vendors.errors import unencodable_refused
from djtasks.broker.vendors.portable import PortableVendor
from djtasks.broker.vendors.sqlite_rows import (
    Clock,
    Row,
    id_of,
    key_of,
    new_row,
    put_back,
    reading,
    reservation_of,
    result_of,
)
from djtasks.broker.vendors.sqlite_workflows import inputs, resolve, unblock
from djtasks.domain.messages import Demand, NewMessage, Supply, Token
from djtasks.domain.outcomes import Settlement, ending_of

NEVER = "~"  # after every moment
Pairs = list[tuple[str, int]]


class SqliteVendor(PortableVendor):
    """SQLite 3.35 and newer; any number of processes on one host."""

    one_writer = True
    transient_codes = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT})

    def insert(self, messages: Sequence[NewMessage], chosen: Sequence[str] | None = None) -> datetime:
        clock = Clock(self.connection)
        rows = [new_row(new, clock) for new in messages]
        with self.taken_refused(messages), self._bound(), self.atomic(), self.connection.cursor() as cursor:
            cursor.execute(sql.INSERT, rows[0]) if len(rows) == 1 else cursor.executemany(sql.INSERT, rows)
        return clock.moment

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
            unblock(raw, settlements, clock)
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
        if found:
            row = resolve(raw, dict(zip(sql.COLUMNS, found, strict=True)), ending)
            if ending.state is not None:
                raw.execute(sql.KEEP, result_of(row, ending, clock, hostname, retention))
        return found is not None

    def _begun(self, raw: sqlite3.Connection, token: Token, late: bool, clock: Clock) -> bool:
        return bool(raw.execute(sql.BEGIN, {**key_of(token), "now": clock.now, "late": late}).rowcount)

    # Reserving

    def _receive(self, raw: sqlite3.Connection, demand: Demand) -> Supply:
        clock = Clock(self.connection)
        pairs = list(self._pairs(raw, demand))
        asks, takes = (sql.ANY_CHOSEN, sql.RESERVE_CHOSEN) if demand.chooses else (sql.ANY_READY, sql.RESERVE)
        # A reader waits for nobody; an idle worker must not take the write lock.
        ready = [each for each in reading(demand, pairs, clock) if raw.execute(asks, each).fetchone()]
        if not demand.limit:
            return Supply([], 0.0 if ready else None)
        ready.sort(key=lambda each: (aged(raw, each), -each["priority"], random.random()))
        received: list[Row] = []
        with self._writing(raw) if ready else nullcontext():
            for each in ready:
                rows = raw.execute(takes, {**each, "limit": demand.limit - len(received)}).fetchall()
                received += (dict(zip(sql.RESERVED_COLUMNS, row, strict=True)) for row in rows)
        received.sort(key=lambda row: (-row["priority"], row["due_at"], row["id"]))
        next_due = next_due_of(raw, pairs, clock) if len(received) < demand.limit else None
        read_at = clock.epoch if demand.chooses else None
        reservations = [reservation_of(row, clock, inputs(raw, row)) for row in received if id_of(row["id"])]
        return Supply(reservations, next_due, read_at)

    def _pairs(self, raw: sqlite3.Connection, demand: Demand) -> Iterator[tuple[str, int]]:
        """Yield each queue and priority in use: one probe of the index for each."""
        for queue in queues_of(raw) if demand.queues is None else demand.queues:
            priority = 32768
            while queue not in demand.excluded and (
                found := raw.execute(sql.NEXT_PRIORITY, (queue, priority)).fetchone()
            ):
                (priority,) = found
                yield queue, priority

    @contextmanager
    def atomic(self) -> Iterator[None]:
        # Who has turned autocommit off ends the transaction; without one, the savepoint that Django makes instead
        # would be the outermost, and its release a commit.
        if not self.connection.get_autocommit():
            with self._raw() as raw:
                if not raw.in_transaction:
                    raw.execute(sql.BEGIN_IMMEDIATE)
        with super().atomic():
            yield

    # The other verbs

    def renew(self, tokens: Collection[Token], lease: float) -> set[Token]:
        with self._raw() as raw, self._writing(raw):
            until = Clock(self.connection).later(lease)
            return {token for token in tokens if raw.execute(sql.RENEW, {**key_of(token), "until": until}).rowcount}

    def note(self, notes: Mapping[Token, str]) -> set[Token]:
        with self._raw() as raw, self._writing(raw):
            rows = {token: raw.execute(sql.NOTE, {**key_of(token), "meta": meta}) for token, meta in notes.items()}
            return {token for token, done in rows.items() if done.rowcount}

    def purge_results(self, limit: int) -> int:
        with self._raw() as raw, self._writing(raw):
            expired = {"now": Clock(self.connection).now, "limit": limit}
            raw.execute(sql.PURGE_EDGES, expired)
            return raw.execute(sql.PURGE_RESULTS, expired).rowcount

    def living(self, ids: Collection[str]) -> set[str]:
        with self._raw() as raw:
            keys = json.dumps([UUID(each).hex for each in ids])
            return {str(UUID(key)) for (key,) in raw.execute(sql.LIVING, (keys,))}

    def listen(self, *channels: str) -> Listener:
        return SqliteListener(self, channels)

    @property
    def announces(self) -> bool:
        # To commit is to announce.
        return True

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


def queues_of(raw: sqlite3.Connection) -> Iterator[str]:
    """Yield the queues in use: one probe of the index for each."""
    queue = ""
    while found := raw.execute(sql.NEXT_QUEUE, (queue,)).fetchone():
        (queue,) = found
        yield queue


def aged(raw: sqlite3.Connection, parameters: Row) -> str:
    """Return since when something here has been due if it is so long that it goes before higher priorities."""
    if parameters["aged"] is None:
        return NEVER
    found = raw.execute(sql.OLDEST_CHOSEN, {**parameters, "now": parameters["aged"]}).fetchone()
    return str(found[0]) if found else NEVER


def next_due_of(raw: sqlite3.Connection, pairs: Pairs, clock: Clock) -> float | None:
    """Say in how many seconds the next message of these queues and priorities comes due, if there is one."""
    found = [raw.execute(sql.NEXT_DUE, (*pair, clock.now)).fetchone() for pair in pairs]
    dues = [clock.seconds(row[0]) for row in found if row]
    return max(0.0, min(dues) - clock.epoch) if dues else None


class SqliteListener(Listener):
    """Wakes when any other connection has written: SQLite counts that in memory, so looking costs nearly nothing."""

    def __init__(self, vendor: SqliteVendor, channels: Sequence[str], poll_seconds: float = 0.02) -> None:
        super().__init__(vendor, poll_seconds)
        self.channels = channels
        self.seen = self._version()

    def _version(self) -> int:
        self.vendor.connection.ensure_connection()
        with self.vendor.connection.wrap_database_errors:
            return int(self.vendor.connection.connection.execute(sql.DATA_VERSION).fetchone()[0])

    def wait(self, timeout: float) -> Sequence[Announcement]:
        deadline = time.monotonic() + timeout
        while (version := self._version()) == self.seen and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, self.poll_seconds))
        changed, self.seen = version != self.seen, version
        return [Announcement(channel, "*") for channel in self.channels] if changed else []
