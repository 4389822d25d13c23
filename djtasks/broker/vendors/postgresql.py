"""The queue on PostgreSQL: a statement a verb, pipelined so that a turn of the worker is one round trip, one commit."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from typing import ClassVar
from uuid import UUID

import psycopg
from django.db import DatabaseError, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.broker.vendors import postgresql_inserting as inserting
from djtasks.broker.vendors import postgresql_parameters as parameters
from djtasks.broker.vendors import postgresql_reserving as reserving
from djtasks.broker.vendors import postgresql_statements as sql
from djtasks.broker.vendors.answers import Announcement, Exchange, Recovered
from djtasks.broker.vendors.base import Listener, Vendor
from djtasks.broker.vendors.errors import already_enqueued, code_of
from djtasks.broker.vendors.postgresql_life import PostgresqlLife
from djtasks.broker.vendors.postgresql_parameters import Parameters
from djtasks.broker.vendors.postgresql_session import Rows, Session, Statement
from djtasks.broker.vendors.postgresql_settling import Settling
from djtasks.broker.vendors.rows import adopted
from djtasks.conf import settings
from djtasks.domain.ends import End
from djtasks.domain.messages import Demand, NewMessage, Reservation, Supply, Token
from djtasks.domain.outcomes import Settlement
from djtasks.domain.workflows import Edge
from djtasks.models import ErrorsField

logger = logging.getLogger("djtasks.broker")


# Databases on which somebody listened when this process last sent a message.
_with_listeners: set[str] = set()


class PostgresqlVendor(PostgresqlLife, Vendor):
    """PostgreSQL 14 and newer through psycopg 3."""

    transient_codes = frozenset({"40001", "40P01", "55P03", "57014"})
    taken_codes = frozenset({"23505"})

    def __init__(self, connection: BaseDatabaseWrapper, *, private: bool = False) -> None:
        super().__init__(connection, private=private)
        session = Session(connection, private=private)
        self._run, self._run_visibly, self._is_pooled = session.run, session.run_visibly, session.is_pooled

    # Calling

    def insert_workflow(self, messages: Sequence[NewMessage], edges: Sequence[Edge]) -> None:
        if messages:
            self._insert_many(messages, None)
        if edges:
            self._run((inserting.INSERT_EDGES, parameters.of_edges(edges)))

    def insert(self, messages: Sequence[NewMessage], chosen: Sequence[str] | None = None) -> datetime:
        if len(messages) > 1:
            enqueued_at, _ = self._insert_many(messages, chosen)
            return enqueued_at
        statement = inserting.INSERT_AND_CHOOSE if self.alias in _with_listeners else inserting.INSERT
        enqueued_at, told = self._insert(messages, statement, messages[0]._asdict())
        (_with_listeners.discard if told is None else _with_listeners.add)(self.alias)
        return enqueued_at

    def _insert_many(self, messages: Sequence[NewMessage], chosen: Sequence[str] | None) -> tuple[datetime, object]:
        differing, values = parameters.of_messages(messages, chosen)
        return self._insert(messages, inserting.insert_many(differing), values)

    def _insert(self, messages: Sequence[NewMessage], statement: str, values: Parameters) -> tuple[datetime, object]:
        with self.taken_refused(messages):
            row = self._run_visibly(statement, {**values, "announce": settings.NOTIFY is not False})
        if row is None or row[0] != len(messages):
            raise already_enqueued(messages)
        return row[3], row[2]

    # Working

    def exchange(
        self,
        settlements: Sequence[Settlement],
        begin: Sequence[tuple[Token, bool]],
        demand: Demand | None,
        *,
        hostname: str,
        retention: float | None,
    ) -> Exchange:
        settling = partial(Settling, settlements, hostname, retention)
        if not self.joins:
            # Raised where somebody gave a message the id of another one that had ended.
            with suppress(IntegrityError):
                return self._exchange(settling(all_new=True), begin, demand)
        return self._exchange(settling(all_new=False), begin, demand)

    def _exchange(self, settling: Settling, begin: Sequence[tuple[Token, bool]], demand: Demand | None) -> Exchange:
        statements = list(settling.statements())
        if begin:
            statements.append((sql.BEGIN, parameters.of_begins(begin)))
        if demand:
            statements.append(_statement_for(demand))
        answers = self._run(*statements)
        supply = _supply(demand, answers.pop()) if demand else Supply([])
        begun = {Token(*row) for row in answers.pop()} if begin else set()
        return Exchange(settling.written(iter(answers)), begun, supply)

    def renew(self, tokens: Collection[Token], lease: float) -> set[Token]:
        (rows,) = self._run((sql.RENEW, {**parameters.of_tokens(tokens), "lease": lease}))
        held = {Token(*row) for row in rows}
        if missing := set(tokens) - held:
            (rows,) = self._run((sql.STILL_HELD, parameters.of_tokens(missing)))
            held |= {Token(*row) for row in rows}
        return held

    def revoked(self, tokens: Collection[Token]) -> dict[Token, str]:
        (rows,) = self._run((sql.REVOKED, parameters.of_tokens(tokens)))
        return {Token(*row[:2]): row[2] for row in rows}

    def note(self, notes: Mapping[Token, str]) -> set[Token]:
        (rows,) = self._run((sql.NOTE, parameters.of_notes(notes)))
        return {Token(*row) for row in rows}

    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        tokens = parameters.of_tokens(held)
        unknown, written = self._run((sql.UNKNOWN, {**tokens, "worker": worker}), (sql.WRITTEN, tokens))
        found = [adopted(Reservation._make(row[:-1]), ErrorsField().to_python(row[-1])) for row in unknown]
        ours = self.renew([reservation.token for reservation in found], lease)
        return Recovered(
            [reservation for reservation in found if reservation.token in ours], {Token(*row) for row in written}
        )

    # Looking after

    def revoke(
        self, message_id: UUID, error: str, *, hostname: str, retention: float | None, terminate: str = ""
    ) -> str | None:
        mark = {"id": str(message_id), "terminate": terminate, "announce": settings.NOTIFY is not False}
        ending = {"id": str(message_id), "error": error + "\n", "hostname": hostname, "retention": retention}
        found, ended = self._run((sql.REVOKE, mark), (sql.END_UNBEGUN, ending))
        return "revoked" if ended else "requested" if found else None

    def end_blocked(self, ids: Sequence[str], end: End, *, hostname: str, retention: float | None) -> None:
        how = {"state": end.state, "error": end.error and end.error + "\n", "fate": end.fate}
        self._run((sql.END_BLOCKED, {"id": parameters.plain(ids), **how, "hostname": hostname, "retention": retention}))

    def purge_results(self, limit: int) -> int:
        return len(self._run((sql.PURGE_RESULTS, {"limit": limit}))[0])

    # Waiting

    def await_results(self, ids: Sequence[str]) -> None:
        self._run((sql.AWAIT_RESULT if len(ids) == 1 else sql.AWAIT_RESULTS, {"id": list(ids)}))

    def living(self, ids: Collection[str]) -> set[str]:
        (rows,) = self._run((sql.LIVING, {"id": list(ids)}))
        return {row[0] for row in rows}

    @property
    def announces(self) -> bool:
        # Whoever has a session only for a transaction hears nothing.
        return settings.NOTIFY is True or (settings.NOTIFY == "auto" and not self._is_pooled())

    def listen(self, *channels: str) -> Listener:
        if self.announces:
            return PostgresqlListener(self, channels)
        if settings.NOTIFY:
            warn_of_pooler(self.alias)
        return Listener(self)

    def cut(self) -> None:
        raw = self.connection.connection
        with suppress(OSError, psycopg.Error):
            if raw is not None:
                with socket.socket(fileno=os.dup(raw.fileno())) as shared:
                    shared.shutdown(socket.SHUT_RDWR)

    def announce(self, channel: str, payloads: Sequence[str]) -> None:
        if settings.NOTIFY is not False:
            self._run((sql.ANNOUNCE, {"channel": channel, "payloads": list(payloads)}))

    def limit_idling(self, seconds: float) -> None:
        self._run((sql.LIMIT_IDLING, {"milliseconds": int(1000 * seconds)}))

    # Errors

    def is_refusal(self, error: DatabaseError) -> bool:
        # Of class 54 are values beyond the limits of an index or a row.
        return super().is_refusal(error) or str(code_of(error)).startswith("54")


@cache
def warn_of_pooler(alias: str) -> None:
    """Say once that nobody can listen here."""
    logger.warning(
        "the database %r is behind a pooler such as PgBouncer, through which nothing can be announced for certain: "
        "looking every POLL_SECONDS instead (with DJTASKS['NOTIFY'] = False without a word, with True not)",
        alias,
    )


class PostgresqlListener(Listener):
    """Listens on the vendor's own connection, which must not be shared while it does."""

    hears: ClassVar[bool] = True

    def __init__(self, vendor: Vendor, channels: Sequence[str]) -> None:
        super().__init__(vendor)
        with vendor.connection.cursor() as cursor:
            for channel in channels:
                cursor.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))

    def wait(self, timeout: float) -> Sequence[Announcement]:
        raw = self.vendor.connection.connection
        with self.vendor.connection.wrap_database_errors:
            heard = raw.notifies(timeout=timeout, stop_after=1)
            return [Announcement(notify.channel, notify.payload) for notify in heard]


def _statement_for(demand: Demand) -> Statement:
    if not demand.limit:
        return reserving.IS_READY, parameters.of_choice(demand)
    if demand.chooses:
        return reserving.RESERVE_CHOSEN, parameters.of_choice(demand)
    statement = reserving.RESERVE_FROM_START if demand.marks is None else reserving.RESERVE_FROM_MARKS
    return statement, parameters.of_demand(demand)


def _supply(demand: Demand, rows: Rows) -> Supply:
    if not demand.limit:
        return Supply([], 0.0 if rows[0][0] else None)
    read_at = None
    if demand.chooses:
        read_at, rows = rows[0][-1], [row[:-1] for row in rows]
    reservations = [Reservation._make(row[1:]) for row in rows if row[1] is not None]
    reservations.sort(key=lambda reservation: (-reservation.priority, reservation.due_at, reservation.id))
    return Supply(reservations, rows[0][0] if rows else None, read_at)
