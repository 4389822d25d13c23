"""What a database must be able to do for the queue: the one interface that differs from vendor to vendor."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.broker.vendors.answers import Announcement, Exchange, Recovered
from djtasks.broker.vendors.errors import Errors
from djtasks.broker.vendors.life import Life
from djtasks.domain.ends import End
from djtasks.domain.messages import Demand, NewMessage, Token
from djtasks.domain.outcomes import Settlement
from djtasks.domain.workflows import Edge
from djtasks.models import Worker
from djtasks.models.clock import Now

MESSAGES_CHANNEL = "djtasks"
RESULTS_CHANNEL = "djtasks_results"
CONTROL_CHANNEL = "djtasks_control"
SCHEDULES_CHANNEL = "djtasks_schedules"


class Vendor(Errors, Life, ABC):
    """The queue in one database's own way.

    Everything runs on the connection it is given, so that an insert joins its caller's transaction. A ``private``
    connection serves the queue alone, and may be set up for it.
    """

    one_writer: ClassVar[bool] = False
    # The clock that all moments of the queue are compared with, as an expression: the database's.
    clock: Any = Now()

    def __init__(self, connection: BaseDatabaseWrapper, *, private: bool = False) -> None:
        self.connection = connection
        self.alias = connection.alias
        self.private = private

    # Calling

    @abstractmethod
    def insert(self, messages: Sequence[NewMessage], chosen: Sequence[str] | None = None) -> datetime:
        """Insert all messages in the open transaction, and say when; or none: a ``chosen`` id (or any) is taken."""

    @abstractmethod
    def insert_workflow(self, messages: Sequence[NewMessage], edges: Sequence[Edge]) -> None:
        """Insert messages of a workflow, and edges, in the transaction that is open; or raise AlreadyEnqueued."""

    def atomic(self) -> AbstractContextManager[None]:
        """Open a transaction, or a part of the one that is open."""
        return transaction.atomic(using=self.alias)

    @property
    def joins(self) -> bool:
        """Whether a transaction is open, of which all becomes a part that is done here."""
        return _is_open(self.connection)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep an error away from the transaction that is open, if one is."""
        if not self.joins:
            yield
            return
        with self.bound(), self.atomic():
            yield

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

        ``begin`` says of each token whether its message is acknowledged late. An ending is written into the edges that
        wait for it; where that was a success, what waits for nobody any more comes due.
        """

    @abstractmethod
    def renew(self, tokens: Collection[Token], lease: float) -> set[Token]:
        """Extend the leases that are still these holders' own; say which they are."""

    @abstractmethod
    def revoked(self, tokens: Collection[Token]) -> dict[Token, str]:
        """Say which of these holders' messages were revoked, and by which signal their bodies are to be ended, if any.

        Reads only, so that it may be asked often.
        """

    @abstractmethod
    def note(self, notes: Mapping[Token, str]) -> set[Token]:
        """Write what runs say of themselves where they are still their holders' own; wait for no lock."""

    @abstractmethod
    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        """Find out what was done by a transaction whose answer was lost on its way."""

    # Looking after

    @abstractmethod
    def revoke(
        self, message_id: UUID, error: str, *, hostname: str, retention: float | None, terminate: str = ""
    ) -> str | None:
        """End a message that cannot have begun ("revoked"), or mark it ("requested"); None if there is no such one.

        ``terminate`` names the signal by which a body that runs is to be ended.
        """

    @abstractmethod
    def end_blocked(self, ids: Sequence[str], end: End, *, hostname: str, retention: float | None) -> None:
        """End messages that are blocked, in the transaction that is open, and write that into the edges from them."""

    @abstractmethod
    def purge_results(self, limit: int) -> int:
        """Delete up to ``limit`` results whose time is over, but none that someone else is deleting."""

    # Waiting

    @abstractmethod
    def await_results(self, ids: Sequence[str]) -> None:
        """Ask whoever settles these messages to announce it, where announcements can be made.

        Of several, those that someone has locked are left for the next time.
        """

    @abstractmethod
    def living(self, ids: Collection[str]) -> set[str]:
        """Say which of these messages are there, as seen from this connection."""

    def listen(self, *channels: str) -> Listener:
        """Open what wakes a waiter on these channels."""
        return Listener(self)

    @property
    def announces(self) -> bool:
        """Whether those who listen are woken; elsewhere they look by themselves."""
        return False

    def announce(self, channel: str, payloads: Sequence[str]) -> None:
        """Wake those who listen on this channel."""

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Let the ORM, which knows connections by alias and thread only, use the vendor's own."""
        usual = connections[self.alias]
        connections[self.alias] = self.connection
        try:
            yield
        finally:
            connections[self.alias] = usual

    def cut(self) -> None:
        """Break the connection off, from another thread, where a server may leave its client without an answer."""

    def limit_idling(self, seconds: float) -> None:
        """Have the server end the transaction that is open if nothing comes from this client for so long."""

    # Time

    def now(self) -> datetime:
        """Read the clock that all moments of the queue are compared with: the database's."""
        return _clock_of(self.connection)


def _is_open(connection: BaseDatabaseWrapper) -> bool:
    # Who has turned autocommit off has one open from the first statement on.
    return connection.in_atomic_block or (connection.connection is not None and not connection.get_autocommit())


def _clock_of(connection: BaseDatabaseWrapper) -> datetime:
    clock = Now()
    statement, parameters = Worker.objects.all().query.get_compiler(connection=connection).compile(clock)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {statement}{connection.features.bare_select_suffix}", parameters)
        (moment,) = cursor.fetchone()
    for convert in connection.ops.get_db_converters(clock):
        moment = convert(moment, clock, connection)
    read: datetime = moment
    return read


class Listener:
    """Waits where nothing is announced: for the next poll."""

    hears: ClassVar[bool] = False

    def __init__(self, vendor: Vendor, poll_seconds: float = 0.05) -> None:
        self.vendor = vendor
        self.poll_seconds = poll_seconds

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def wait(self, timeout: float) -> Sequence[Announcement]:
        """Sleep until something may have happened, at most ``timeout`` seconds; return what was announced."""
        time.sleep(min(timeout, self.poll_seconds))
        return []

    def close(self) -> None:
        """Give back what listening held."""
