"""How statements are sent to PostgreSQL: many in one round trip, and prepared where the connection allows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.broker.vendors.postgresql_statements import ANSWERS, SETTINGS
from djtasks.conf import settings

Statement = tuple[str, dict[str, Any]]
Rows = list[tuple[Any, ...]]
PREPARE_AFTER = 5

# Connections that end at a pooler: what they do to a session, others find there, and what they left is with others.
_pooled: WeakSet[Any] = WeakSet()


class Session:
    """A session of Django's connection; one that is private serves the queue alone, and is set up for it."""

    def __init__(self, connection: BaseDatabaseWrapper, *, private: bool) -> None:
        self.connection = connection
        self.private = private
        self._raw: Any = None
        self._cursors: Sequence[psycopg.Cursor[Any]] = ()
        self._spare: list[psycopg.Cursor[Any]] = []

    def run(self, *statements: Statement) -> list[Rows]:
        """Run statements as one transaction in one round trip, or within the transaction that is open."""
        if self.private and not self.lasts:
            return self._send([(SETTINGS, {"local": True, "pid": 0}), *statements])[1:]
        return self._send(statements)

    @property
    def may_last(self) -> bool:
        """Whether anything may stay in a session, where no pooler shows itself."""
        # Django's option for poolers that lend connections by transaction.
        told = self.connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        return bool(settings.PREPARED_STATEMENTS) and not told

    @property
    def lasts(self) -> bool:
        """Whether what is done to the session stays with us."""
        if not self.may_last:
            return False
        if self.private:
            self._connect(0)
        return self.connection.connection not in _pooled

    def is_pooled(self) -> bool:
        """Say whether a pooler stands between, which may lend the session to others after each transaction."""
        with self.connection.cursor() as cursor:
            cursor.execute(ANSWERS)
            answers = cursor.fetchone()[0]
        return bool(answers != self.connection.connection.info.backend_pid)

    def run_visibly(self, statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        """Run one statement as Django's cursors do, for all who count, log or wrap queries; return its first row."""
        with self.connection.cursor() as cursor:
            raw, _ = self._connect(0)
            usual = raw.prepare_threshold
            # Bound by the server, a statement can be prepared, and planning is half its cost. Whoever wraps queries may
            # send some here, too, before this one is read.
            ours = self._spare.pop() if self._spare else psycopg.Cursor(raw)
            theirs, cursor.cursor = cursor.cursor, ours
            if not self.private:
                raw.prepare_threshold = PREPARE_AFTER if self.may_last and raw not in _pooled else None
            try:
                cursor.execute(statement, values)
                row: tuple[Any, ...] | None = cursor.fetchone()
                self._spare.append(ours)
            finally:
                raw.prepare_threshold = usual
                cursor.cursor = theirs
            if row is not None:
                # The answer comes before anything is prepared.
                self._note_pooler(row[1])
        return row

    def _note_pooler(self, pid: int) -> None:
        """Take note of who answers; it is the server itself if it is whom the connection was made to."""
        raw = self.connection.connection
        if settings.PREPARED_STATEMENTS == "auto" and pid != raw.info.backend_pid:
            _pooled.add(raw)

    def _send(self, statements: Sequence[Statement]) -> list[Rows]:
        with self.connection.wrap_database_errors:
            raw, cursors = self._connect(len(statements))
            # Moments as decimal fractions took a twentieth of all that a worker does for a short task.
            if len(statements) == 1:
                cursors[0].execute(*statements[0], binary=True)
            else:
                # Between two syncs of a pipeline everything is one transaction, without BEGIN and COMMIT.
                with raw.pipeline():
                    for cursor, statement in zip(cursors, statements, strict=False):
                        cursor.execute(*statement, binary=True)
                if not (self.private and self.lasts):
                    # psycopg may end a pipeline with a Flush behind its Sync, for which a pooler lends us the session
                    # once more: it takes it back at the next Sync, which could be long in coming.
                    raw.execute("")
            return [cursor.fetchall() for cursor, _ in zip(cursors, statements, strict=False)]

    def _connect(self, size: int) -> tuple[Any, Sequence[psycopg.Cursor[Any]]]:
        """Return the connection and some cursors on it, which are kept: to make one costs as much as to use it."""
        self.connection.ensure_connection()
        raw = self.connection.connection
        if raw is not self._raw:
            self._raw, self._cursors, self._spare = raw, (), []
            # An application's session stays as it is.
            if self.private and self.may_last:
                self._set_up(raw)
        if len(self._cursors) < size:
            self._cursors = [psycopg.Cursor(raw) for _ in range(size)]
        return raw, self._cursors

    def _set_up(self, raw: Any) -> None:
        """Make the session ours, unless it turns out to be lent by a pooler."""
        known = settings.PREPARED_STATEMENTS is True
        with self.connection.wrap_database_errors:
            pid = None if known else raw.info.backend_pid
            self._note_pooler(raw.execute(SETTINGS, {"local": False, "pid": pid}).fetchone()[1])
        if raw not in _pooled:
            raw.prepare_threshold = 0
