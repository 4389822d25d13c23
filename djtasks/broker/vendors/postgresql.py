"""The queue on PostgreSQL: a statement a verb, pipelined so that a turn of the worker is one round trip, one commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg
from django.db import DatabaseError, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.broker.vendors import postgresql_parameters as parameters
from djtasks.broker.vendors import postgresql_statements as sql
from djtasks.broker.vendors.answers import Exchange, Recovered, Renewed
from djtasks.broker.vendors.base import Listener, Vendor, already_enqueued, code_of
from djtasks.conf import settings
from djtasks.domain.messages import Demand, NewMessage, Reservation, Supply, Token
from djtasks.domain.outcomes import Settlement, ending_of

Statement = tuple[str, dict[str, Any]]
Rows = list[tuple[Any, ...]]


class PostgresqlVendor(Vendor):
    """PostgreSQL 14 and newer through psycopg 3."""

    transient_codes = frozenset({"40001", "40P01", "55P03", "57014"})

    _raw: Any = None
    _cursors: Sequence[psycopg.Cursor[Any]] = ()

    def __init__(self, connection: BaseDatabaseWrapper, *, private: bool = False) -> None:
        super().__init__(connection, private=private)
        self._begun_before: dict[Token, bool] = {}

    # Calling

    def insert(self, messages: Sequence[NewMessage]) -> None:
        if len(messages) == 1:
            statement, values = sql.INSERT, messages[0]._asdict()
        else:
            statement, values = sql.INSERT_MANY, parameters.of_messages(messages)
        try:
            # Django's own cursor: whoever counts or logs the caller's queries sees this one.
            with self.connection.cursor() as cursor:
                cursor.execute(statement, {**values, "announce": settings.NOTIFY is not False})
                (inserted, _) = cursor.fetchone()
        except IntegrityError as error:
            raise already_enqueued(messages) from error
        if inserted < len(messages):
            raise already_enqueued(messages)

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
        statements: list[Statement] = []
        in_order = sorted(settlements, key=attrgetter("token"))
        if endings := [ending for settlement in in_order if (ending := ending_of(settlement))]:
            statements.append((sql.END, parameters.of_endings(endings, hostname, retention)))
        if back := [settlement for settlement in in_order if not ending_of(settlement)]:
            statements.append((sql.PUT_BACK, parameters.of_put_backs(back)))
        if begin:
            statements.append((sql.BEGIN, parameters.of_begins(begin)))
        if demand:
            statement = sql.RESERVE_FROM_START if demand.marks is None else sql.RESERVE_FROM_MARKS
            statements.append((statement, parameters.of_demand(demand)))
        answers = iter(self._run(*statements))
        settled = {Token(*row[:2]) for part in (endings, back) if part for row in next(answers)}
        begun = {Token(*row) for row in next(answers)} if begin else set()
        return Exchange(settled, begun, _supply(next(answers)) if demand else Supply([]))

    def renew(self, tokens: Collection[Token], lease: float) -> Renewed:
        (rows,) = self._run((sql.RENEW, {**parameters.of_tokens(tokens), "lease": lease}))
        held = {Token(*row[:2]) for row in rows}
        revoked = {Token(*row[:2]) for row in rows if row[2]}
        if missing := set(tokens) - held:
            (rows,) = self._run((sql.STILL_HELD, parameters.of_tokens(missing)))
            held |= {Token(*row) for row in rows}
        return Renewed(held, revoked)

    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        tokens = parameters.of_tokens(held)
        unknown, written = self._run(
            (sql.UNKNOWN, {**tokens, "worker": worker, "lease": lease}),
            (sql.WRITTEN, tokens),
        )
        found = [Reservation._make(row[:-1]) for row in unknown]
        # The renewal moves what this is told by, and its own answer may be lost, too: the first word counts.
        for reservation, row in zip(found, unknown, strict=True):
            self._begun_before.setdefault(reservation.token, row[-1])
        found = [reservation._replace(begun_before=self._begun_before[reservation.token]) for reservation in found]
        ours = self.renew([reservation.token for reservation in found], lease).held
        self._begun_before.clear()
        adopted = [reservation for reservation in found if reservation.token in ours]
        return Recovered(adopted, {Token(*row) for row in written})

    # Looking after

    def revoke(self, message_id: UUID, error: str, *, hostname: str, retention: float | None) -> str | None:
        ending = {"id": str(message_id), "error": error + "\n", "hostname": hostname, "retention": retention}
        found, ended = self._run((sql.REVOKE, {"id": str(message_id)}), (sql.END_UNBEGUN, ending))
        return "revoked" if ended else "requested" if found else None

    def purge_results(self, limit: int) -> int:
        (rows,) = self._run((sql.PURGE_RESULTS, {"limit": limit}))
        return len(rows)

    # Waiting

    def await_result(self, message_id: str) -> None:
        self._run((sql.AWAIT_RESULT, {"id": message_id}))

    def lives(self, message_id: str) -> bool:
        (((lives,),),) = self._run((sql.LIVES, {"id": message_id}))
        return bool(lives)

    def listen(self, *channels: str) -> Listener:
        return Listener(self) if settings.NOTIFY is False else PostgresqlListener(self, channels)

    # Errors

    def is_refusal(self, error: DatabaseError) -> bool:
        # Of class 54 are values beyond the limits of an index or a row.
        return super().is_refusal(error) or str(code_of(error)).startswith("54")

    # How it is sent

    def _run(self, *statements: Statement) -> list[Rows]:
        """Run statements as one transaction in one round trip."""
        if self.private and not settings.PREPARED_STATEMENTS:
            return self._send([(sql.SETTINGS, {"local": True}), *statements])[1:]
        return self._send(statements)

    def _send(self, statements: Sequence[Statement]) -> list[Rows]:
        with self.connection.wrap_database_errors:
            raw, cursors = self._session(len(statements))
            if len(statements) == 1:
                cursors[0].execute(*statements[0])
            else:
                # Between two syncs of a pipeline everything is one transaction, without BEGIN and COMMIT.
                with raw.pipeline():
                    for cursor, statement in zip(cursors, statements, strict=False):
                        cursor.execute(*statement)
            return [cursor.fetchall() for cursor, _ in zip(cursors, statements, strict=False)]

    def _session(self, size: int) -> tuple[Any, Sequence[psycopg.Cursor[Any]]]:
        """Return the connection and some cursors on it, which are kept: to make one costs as much as to use it."""
        self.connection.ensure_connection()
        raw = self.connection.connection
        if raw is not self._raw:
            self._raw, self._cursors = raw, ()
            # An application's connection stays as it is; behind a pooler a private one is another's soon.
            if self.private and settings.PREPARED_STATEMENTS:
                raw.execute(sql.SETTINGS, {"local": False})
                raw.prepare_threshold = 0
        if len(self._cursors) < size:
            self._cursors = [psycopg.Cursor(raw) for _ in range(size)]
        return raw, self._cursors


class PostgresqlListener(Listener):
    """Listens on the vendor's own connection, which must not be shared while it does."""

    def __init__(self, vendor: Vendor, channels: Sequence[str]) -> None:
        super().__init__(vendor)
        with vendor.connection.cursor() as cursor:
            for channel in channels:
                cursor.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))

    def wait(self, timeout: float) -> Iterable[str]:
        raw = self.vendor.connection.connection
        with self.vendor.connection.wrap_database_errors:
            return [notify.payload for notify in raw.notifies(timeout=timeout, stop_after=1)]


def _supply(rows: Rows) -> Supply:
    reservations = [Reservation._make(row[1:]) for row in rows if row[1] is not None]
    reservations.sort(key=lambda reservation: (-reservation.priority, reservation.due_at, reservation.id))
    return Supply(reservations, rows[0][0] if rows else None)
