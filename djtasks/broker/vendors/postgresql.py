"""The queue on PostgreSQL: a statement a verb, pipelined so that a turn of the worker is one round trip, one commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.broker.vendors import postgresql_statements as sql
from djtasks.broker.vendors.base import Exchange, Listener, Recovered, Renewed, Vendor, already_enqueued
from djtasks.conf import settings
from djtasks.domain.messages import Demand, NewMessage, Reservation, Supply, Token
from djtasks.domain.outcomes import Ending, Rejected, Released, Retry, Settlement, ending_of

Statement = tuple[str, dict[str, Any]]
Rows = list[tuple[Any, ...]]


class PostgresqlVendor(Vendor):
    """PostgreSQL 14 and newer through psycopg 3."""

    announces: ClassVar[bool] = True
    transient_codes = frozenset({"40001", "40P01", "55P03", "57014"})

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._prepared_session: Any = None

    # Calling

    def insert(self, messages: Sequence[NewMessage], *, announce: bool = True) -> None:
        announce = announce and settings.NOTIFY is not False
        if len(messages) == 1:
            parameters: dict[str, Any] = messages[0]._asdict()
            statement = sql.INSERT
        else:
            columns = zip(*messages, strict=True)
            parameters = {name: list(column) for name, column in zip(NewMessage._fields, columns, strict=True)}
            statement = sql.INSERT_MANY
        with self.connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, "announce": announce})
            (inserted, _) = cursor.fetchone()
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
        settlements = sorted(settlements, key=lambda settlement: settlement.token)
        if endings := [ending for settlement in settlements if (ending := ending_of(settlement))]:
            statements.append((sql.END, _end_parameters(endings, hostname, retention)))
        if back := [settlement for settlement in settlements if not ending_of(settlement)]:
            statements.append((sql.PUT_BACK, _put_back_parameters(back)))
        if begin:
            late = [is_late for _, is_late in sorted(begin)]
            statements.append((sql.BEGIN, {**_token_parameters([token for token, _ in sorted(begin)]), "late": late}))
        if demand:
            statements.append(_reserve_statement(demand))
        answers = iter(self._run(statements))
        settled = {Token(row[0], row[1]) for rows in (endings, back) if rows for row in next(answers)}
        begun = {Token(*row) for row in next(answers)} if begin else set()
        return Exchange(settled, begun, _supply(next(answers)) if demand else Supply([]))

    def renew(self, tokens: Collection[Token], lease: float) -> Renewed:
        parameters = _token_parameters(sorted(tokens))
        (rows,) = self._run([(sql.RENEW, {**parameters, "lease": lease})])
        held = {Token(*row[:2]) for row in rows}
        revoked = {Token(*row[:2]) for row in rows if row[2]}
        if missing := sorted(set(tokens) - held):
            (rows,) = self._run([(sql.STILL_HELD, _token_parameters(missing))])
            held |= {Token(*row) for row in rows}
        return Renewed(held, revoked)

    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        tokens = _token_parameters(sorted(held))
        adopted, written = self._run([(sql.ADOPT, {**tokens, "worker": worker, "lease": lease}), (sql.WRITTEN, tokens)])
        reservations = [Reservation._make(row[:-1])._replace(begun_before=row[-1]) for row in adopted]
        return Recovered(reservations, {Token(*row) for row in written})

    def purge_results(self, limit: int) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(sql.PURGE_RESULTS, {"limit": limit})
            return int(cursor.rowcount)

    def _run(self, statements: Sequence[Statement]) -> list[Rows]:
        """Run statements as one transaction in one round trip."""
        with self.connection.wrap_database_errors:
            raw = self._session()
            if len(statements) == 1:
                cursor = psycopg.Cursor(raw)
                cursor.execute(*statements[0])
                return [cursor.fetchall()]
            # Between two syncs of a pipeline everything is one transaction, without BEGIN and COMMIT.
            with raw.pipeline():
                cursors = [psycopg.Cursor(raw) for _ in statements]
                for cursor, statement in zip(cursors, statements, strict=True):
                    cursor.execute(*statement)
            return [cursor.fetchall() for cursor in cursors]

    def _session(self) -> Any:
        self.connection.ensure_connection()
        raw = self.connection.connection
        if raw is not self._prepared_session:
            raw.execute(sql.SESSION)
            raw.prepare_threshold = 0 if settings.PREPARED_STATEMENTS else None
            self._prepared_session = raw
        return raw

    # Waiting

    def await_result(self, message_id: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql.AWAIT_RESULT, {"id": message_id})

    def lives(self, message_id: str) -> bool:
        ((lives,),) = self._run([(sql.LIVES, {"id": message_id})])[0]
        return bool(lives)

    def listen(self, *channels: str) -> PostgresqlListener:
        return PostgresqlListener(self, channels)


class PostgresqlListener(Listener):
    """Listens on the vendor's own connection, which must not be shared while it does."""

    def __init__(self, vendor: Vendor, channels: Sequence[str]) -> None:
        super().__init__(vendor)
        with vendor.connection.cursor() as cursor:
            for channel in channels:
                cursor.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))

    def wait(self, timeout: float) -> Iterable[str] | None:
        raw = self.vendor.connection.connection
        with self.vendor.connection.wrap_database_errors:
            return [notify.payload for notify in raw.notifies(timeout=timeout, stop_after=1)]


def _token_parameters(tokens: Sequence[Token]) -> dict[str, Any]:
    return {"id": [token.id for token in tokens], "deliveries": [token.deliveries for token in tokens]}


def _end_parameters(endings: Sequence[Ending], hostname: str, retention: float | None) -> dict[str, Any]:
    tokens, states, values, errors, started = zip(*endings, strict=True)
    return {
        **_token_parameters(tokens),
        "state": list(states),
        "value": list(values),
        "error": [error and error + "\n" for error in errors],
        "started_at": list(started),
        "hostname": hostname,
        "retention": retention,
    }


def _put_back_parameters(settlements: Sequence[Settlement]) -> dict[str, Any]:
    outcomes = [settlement.outcome for settlement in settlements]
    errors = [getattr(outcome, "error", "") for outcome in outcomes]
    changes = {
        name: [getattr(outcome, name, None) if isinstance(outcome, Retry) else None for outcome in outcomes]
        for name in ("due_at", "args", "kwargs", "queue", "priority")
    }
    return {
        **_token_parameters([settlement.token for settlement in settlements]),
        **changes,
        "retry": [int(isinstance(outcome, Retry)) for outcome in outcomes],
        "loss": [int(isinstance(outcome, Released) and outcome.loss) for outcome in outcomes],
        "error": [error and error + "\n" for error in errors],
        "delay": [_delay_of(outcome) for outcome in outcomes],
    }


def _delay_of(outcome: object) -> float | None:
    match outcome:
        case Retry():
            return outcome.delay
        case Released():
            return outcome.delay or None
        case Rejected():
            return None
    return None


def _reserve_statement(demand: Demand) -> Statement:
    parameters = demand._asdict()
    marks = parameters.pop("marks")
    if marks is None:
        parameters["queues"] = None if demand.queues is None else list(demand.queues)
        parameters["excluded"] = list(demand.excluded)
        return sql.RESERVE_FROM_START, parameters
    queues, priorities, due, ids = zip(*marks, strict=True)
    parameters.update(
        mark_queues=list(queues), mark_priorities=list(priorities), mark_due=list(due), mark_ids=list(ids)
    )
    return sql.RESERVE_FROM_MARKS, parameters


def _supply(rows: Rows) -> Supply:
    reservations = [Reservation._make(row[1:]) for row in rows if row[1] is not None]
    reservations.sort(key=lambda reservation: (-reservation.priority, reservation.due_at, reservation.id))
    return Supply(reservations, rows[0][0] if rows else None)
