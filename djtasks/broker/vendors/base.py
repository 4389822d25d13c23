"""What a database must be able to do for the queue: the one interface that differs from vendor to vendor."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.db import DatabaseError, DataError, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.db.models.functions import Now

from djtasks.broker.vendors.answers import Exchange, Recovered, Renewed
from djtasks.domain.messages import Demand, NewMessage, Token
from djtasks.domain.outcomes import Settlement
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Worker

MESSAGES_CHANNEL = "djtasks"
RESULTS_CHANNEL = "djtasks_results"
VANISHED_SECONDS = 90


class Vendor(ABC):
    """The queue in one database's own way.

    Everything runs on the connection it is given, so that an insert joins its caller's transaction. A ``private``
    connection serves the queue alone, and may be set up for it.
    """

    one_writer: ClassVar[bool] = False
    transient_codes: ClassVar[frozenset[str | int]] = frozenset()

    def __init__(self, connection: BaseDatabaseWrapper, *, private: bool = False) -> None:
        self.connection = connection
        self.alias = connection.alias
        self.private = private

    # Calling

    @abstractmethod
    def insert(self, messages: Sequence[NewMessage]) -> None:
        """Insert all of the messages, in the transaction that is open; or none, and raise AlreadyEnqueued."""

    # Working

    @abstractmethod
    def exchange(
        self,
        settlements: Sequence[Settlement],
        begin: Sequence[tuple[Token, bool]],
        demand: Demand | None,
        *,
        hostname: str,
        retention: float | None,
    ) -> Exchange:
        """Settle, begin and reserve in one transaction; what is no longer its holder's own is left alone.

        ``begin`` says of each token whether its message is acknowledged late.
        """

    @abstractmethod
    def renew(self, tokens: Collection[Token], lease: float) -> Renewed:
        """Extend the leases that are still these holders' own."""

    @abstractmethod
    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        """Find out what was done by a transaction whose answer was lost on its way."""

    # Looking after

    @abstractmethod
    def revoke(self, message_id: UUID, error: str, *, hostname: str, retention: float | None) -> str | None:
        """End a message that cannot have begun ("revoked"), or mark it ("requested"); None if there is no such one."""

    @abstractmethod
    def purge_results(self, limit: int) -> int:
        """Delete up to ``limit`` results whose time is over, but none that someone else is deleting."""

    def vanished_workers(self) -> QuerySet[Worker]:
        """Workers whose sign of life is too old."""
        return Worker.objects.using(self.alias).filter(seen_at__lt=Now() - timedelta(seconds=VANISHED_SECONDS))

    # Waiting

    @abstractmethod
    def await_result(self, message_id: str) -> None:
        """Ask whoever settles this message to announce it, where announcements can be made."""

    @abstractmethod
    def lives(self, message_id: str) -> bool:
        """Say whether the message is there, as seen from this connection."""

    def listen(self, *channels: str) -> Listener:
        """Open what wakes a waiter on these channels."""
        return Listener(self)

    # Time and errors

    def now(self) -> datetime:
        """Read the clock that all moments of the queue are compared with: the database's."""
        clock = Now()
        statement, parameters = Worker.objects.all().query.get_compiler(connection=self.connection).compile(clock)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {statement}{self.connection.features.bare_select_suffix}", parameters)
            (moment,) = cursor.fetchone()
        for convert in self.connection.ops.get_db_converters(clock):
            moment = convert(moment, clock, self.connection)
        read: datetime = moment
        return read

    def is_transient(self, error: DatabaseError) -> bool:
        """Say whether the same transaction may succeed if it is simply run again."""
        return code_of(error) in self.transient_codes

    def is_refusal(self, error: DatabaseError) -> bool:
        """Say whether the error speaks of the values sent; for every other no outcome is to blame."""
        return isinstance(error, (DataError, IntegrityError))


class Listener:
    """Waits where nothing is announced: for the next poll."""

    def __init__(self, vendor: Vendor, poll_seconds: float = 0.05) -> None:
        self.vendor = vendor
        self.poll_seconds = poll_seconds

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def wait(self, timeout: float) -> Iterable[str]:
        """Sleep until something may have happened, at most ``timeout`` seconds; return what was announced."""
        time.sleep(min(timeout, self.poll_seconds))
        return []

    def close(self) -> None:
        """Give back what listening held."""


@contextmanager
def unencodable_refused() -> Iterator[None]:
    """Turn the only refusal that drivers do not raise as an error of the database into one."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise DataError(f"a text cannot be encoded: {error}") from error


def code_of(error: DatabaseError) -> str | int | None:
    """Return the driver's code of an error: a SQLSTATE, or a number."""
    cause = error.__cause__
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorcode", None)
    return code or (cause.args[0] if cause is not None and cause.args else None)


def already_enqueued(messages: Sequence[NewMessage]) -> AlreadyEnqueued:
    """Make the error for ids of which at least one is taken."""
    ids = ", ".join(message.id for message in messages[:3])
    return AlreadyEnqueued(f"a message with this task_id waits or runs already: {ids}; see exist_ok=True")
