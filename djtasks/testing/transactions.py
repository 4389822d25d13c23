"""Bodies inside the transaction of a test find what they find in a worker, where each of their statements commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.worker.isolation import lending


def borrowed() -> Any:
    """Let bodies use the test's own connections, which stay as they are."""
    return lending([connection.alias for connection in _in_transactions()])


@contextmanager
def as_if_committing() -> Iterator[None]:
    """Keep what is done in here, and do what waits for its commit; undo it where the database has refused a part."""
    marks = [_Mark.on(connection) for connection in _in_transactions()]
    try:
        yield
    finally:
        callbacks = [callback for mark in marks for callback in mark.leave()]
        for callback in callbacks:
            callback()


class _Mark(NamedTuple):
    """How far a transaction had come."""

    connection: BaseDatabaseWrapper
    savepoint: Any
    waiting: int

    @classmethod
    def on(cls, connection: BaseDatabaseWrapper) -> _Mark:
        return cls(connection, connection.savepoint(), len(connection.run_on_commit))

    def leave(self) -> list[Callable[[], object]]:
        """Go on from here, or from the mark; return what has come to wait for the commit."""
        is_kept = self._release()
        if not is_kept:
            self._roll_back()
        waiting = self.connection.run_on_commit[self.waiting :]
        del self.connection.run_on_commit[self.waiting :]
        return [entry[1] for entry in waiting] if is_kept else []

    def _release(self) -> bool:
        try:
            self.connection.savepoint_commit(self.savepoint)
        except DatabaseError:
            return False
        return True

    def _roll_back(self) -> None:
        self.connection.set_rollback(False)
        self.connection.savepoint_rollback(self.savepoint)
        self.connection.savepoint_commit(self.savepoint)


def _in_transactions() -> list[BaseDatabaseWrapper]:
    return [connection for connection in connections.all(initialized_only=True) if connection.in_atomic_block]
