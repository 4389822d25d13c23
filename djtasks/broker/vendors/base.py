"""What a database must be able to do for the queue, and the portable way through Django's ORM."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from djtasks.broker.vendors.rows import begun_elsewhere, lapse_error, reservation_of, result_of
from djtasks.domain.messages import Demand, NewMessage, Reservation, Supply, Token
from djtasks.domain.outcomes import Ending, Rejected, Released, Retry, Settlement, ending_of
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Message, Result, Worker

MESSAGES_CHANNEL = "djtasks"
RESULTS_CHANNEL = "djtasks_results"
WORKER_VANISHED = 90.0


class Exchange(NamedTuple):
    """What one commit did: whose settlements and begins were taken, and what was reserved."""

    settled: set[Token]
    begun: set[Token]
    supply: Supply


class Renewed(NamedTuple):
    """Which leases are in force again, and for which of these the run was asked to stop."""

    held: set[Token]
    revoked: set[Token]


class Recovered(NamedTuple):
    """What stands in the tables though its answer was lost: leases not known of, and settlements that were written."""

    adopted: list[Reservation]
    written: set[Token]


class Vendor:
    """The queue's statements in one database's own way; this one works on all that Django supports.

    Everything runs on the connection it is given, so that an insert joins its caller's transaction.
    """

    announces: ClassVar[bool] = False
    one_writer: ClassVar[bool] = False
    transient_codes: ClassVar[frozenset[str | int]] = frozenset({1213, 1205})

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.alias = connection.alias

    # Calling

    def insert(self, messages: Sequence[NewMessage], *, announce: bool = True) -> None:
        """Insert the rows in one statement, in the transaction that is open; raise AlreadyEnqueued for a known id."""
        now = self.now()
        try:
            with transaction.atomic(using=self.alias):
                self._messages.bulk_create([self._row(message, now) for message in messages])
        except IntegrityError as error:
            raise already_enqueued(messages) from error

    def _row(self, new: NewMessage, now: datetime) -> Message:
        return Message(
            id=new.id,
            task=new.task,
            args=Value(new.args),
            kwargs=Value(new.kwargs),
            queue=new.queue,
            priority=new.priority,
            due_at=now + timedelta(seconds=new.delay) if new.due_at is None else self.moment(new.due_at),
            expires_at=now + timedelta(seconds=new.expires_in)
            if new.expires_in is not None
            else None
            if new.expires_at is None
            else self.moment(new.expires_at),
            acks_late=new.acks_late,
            options=Value(new.options),
            group=new.group,
            root=new.root,
            parent=new.parent,
            enqueued_at=now,
        )

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
        """Settle, begin and reserve in one transaction; what is no longer ours is left alone."""
        with transaction.atomic(using=self.alias):
            settled = self._settle(settlements, hostname, retention)
            begun = {token for token, late in begin if self._begin(token, late)}
            supply = self._reserve(demand) if demand else Supply([])
        return Exchange(settled, begun, supply)

    def _settle(self, settlements: Sequence[Settlement], hostname: str, retention: float | None) -> set[Token]:
        now = self.now()
        settled = set()
        for settlement in sorted(settlements, key=attrgetter("token")):
            ending = ending_of(settlement)
            if ending is not None:
                written = self._end(ending, now, hostname, retention)
            else:
                written = self._put_back(settlement, now)
            if written:
                settled.add(settlement.token)
        return settled

    def _end(self, ending: Ending, now: datetime, hostname: str, retention: float | None) -> bool:
        return self._remove(self._held(ending.token), ending, now, hostname, retention)

    def _remove(
        self, held: QuerySet[Message], ending: Ending, now: datetime, hostname: str, retention: float | None
    ) -> bool:
        row = held.select_for_update().values().first() if self._locks_rows else held.values().first()
        if row is None or not held.delete()[0]:
            return False
        if ending.state is not None:
            expires_at = None if retention is None else now + timedelta(seconds=retention)
            result = result_of(row, ending, now, hostname, expires_at, self.moment)
            self._results.bulk_create(
                [result],
                update_conflicts=True,
                unique_fields=["id"] if self.connection.features.supports_update_conflicts_with_target else None,
                update_fields=[field.name for field in Result._meta.fields if not field.primary_key],
            )
        return True

    def _put_back(self, settlement: Settlement, now: datetime) -> bool:
        changes: dict[str, Any] = {"leased_until": None, "started_at": None, "state": "", "meta": None}
        outcome = settlement.outcome
        match outcome:
            case Retry():
                changes["retries"] = F("retries") + 1
                changes["due_at"] = (
                    now + timedelta(seconds=outcome.delay) if outcome.due_at is None else self.moment(outcome.due_at)
                )
                for name in ("args", "kwargs", "queue", "priority"):
                    if (value := getattr(outcome, name)) is not None:
                        changes[name] = Value(value) if name in ("args", "kwargs") else value
            case Released():
                if outcome.delay:
                    changes["due_at"] = now + timedelta(seconds=outcome.delay)
                if outcome.loss:
                    changes["losses"] = F("losses") + 1
            case Rejected():
                pass
        if error := getattr(outcome, "error", ""):
            changes["errors"] = Concat(F("errors"), Value(error + "\n"))
        return bool(self._held(settlement.token).update(**changes))

    def _begin(self, token: Token, late: bool) -> bool:
        return bool(self._held(token).filter(revoked_at=None).update(started_at=self.now(), acks_late=late))

    def _reserve(self, demand: Demand) -> Supply:
        now = self.now()
        free = Q(leased_until=None) | Q(leased_until__lt=now) if demand.lapsed else Q(leased_until=None)
        wanted = self._wanted(demand)
        ready = wanted.filter(free, due_at__lte=now).order_by("-priority", "due_at", "id")
        if self._locks_rows:
            ready = ready.select_for_update(skip_locked=True)
        reservations = [self._lease(row, demand, now) for row in ready.values()[: demand.limit]]
        next_due = None
        if len(reservations) < demand.limit:
            later = wanted.filter(due_at__gt=now).order_by("due_at").values_list("due_at", flat=True).first()
            next_due = None if later is None else (later - now).total_seconds()
        return Supply(reservations, next_due)

    def _wanted(self, demand: Demand) -> QuerySet[Message]:
        if demand.queues is None:
            return self._messages.exclude(queue__in=demand.excluded) if demand.excluded else self._messages
        return self._messages.filter(queue__in=demand.queues)

    def _lease(self, row: dict[str, Any], demand: Demand, now: datetime) -> Reservation:
        lapsed = row["leased_until"] is not None
        begun_before = lapsed and row["started_at"] is not None
        changes: dict[str, Any] = {
            "leased_until": now + timedelta(seconds=demand.lease),
            "worker": UUID(demand.worker),
            "deliveries": row["deliveries"] + 1,
        }
        if lapsed:
            changes["errors"] = Concat(F("errors"), Value(lapse_error(row) + "\n"))
            if begun_before or not row["losses"]:
                changes["losses"] = row["losses"] + 1
        elif demand.begin and row["acks_late"] is False and row["revoked_at"] is None:
            changes["started_at"] = now
        self._messages.filter(pk=row["id"]).update(**changes)
        return reservation_of({**row, **changes}, begun_before, now, self.epoch)

    def renew(self, tokens: Collection[Token], lease: float) -> Renewed:
        """Extend the leases that are still these holders' own."""
        held, revoked = set(), set()
        for token in sorted(tokens):
            row = self._held(token).values_list("revoked_at").first()
            if row and self._held(token).update(leased_until=self.now() + timedelta(seconds=lease)):
                held.add(token)
                if row[0] is not None:
                    revoked.add(token)
        return Renewed(held, revoked)

    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        """Find out what was done by a transaction whose answer was lost on its way."""
        now = self.now()
        ids = [token.id for token in held]
        mine = self._messages.filter(worker=worker, leased_until__isnull=False).exclude(pk__in=ids)
        length = timedelta(seconds=lease, milliseconds=10)  # SQLite reads the clock twice for a lease
        adopted = [reservation_of(row, begun_elsewhere(row, length), now, self.epoch) for row in mine.values()]
        mine.update(leased_until=now + timedelta(seconds=lease))
        written = {
            token
            for token in held
            if self._results.filter(pk=token.id, deliveries=token.deliveries).exists()
            or self._messages.filter(pk=token.id, deliveries=token.deliveries, leased_until=None).exists()
        }
        return Recovered(adopted, written)

    # Looking after

    def revoke(self, message_id: UUID, error: str, *, hostname: str, retention: float | None) -> str | None:
        """End a message that cannot have begun ("revoked"), or mark it ("requested"); None if there is no such one."""
        with transaction.atomic(using=self.alias):
            message = self._messages.filter(pk=message_id)
            row = (message.select_for_update() if self._locks_rows else message).values().first()
            if row is None:
                return None
            if row["leased_until"] is None or (row["acks_late"] is False and row["started_at"] is None):
                ending = Ending(Token(str(message_id), row["deliveries"]), "REVOKED", None, error, None)
                return "revoked" if self._remove(message, ending, self.now(), hostname, retention) else None
            message.filter(revoked_at=None).update(revoked_at=self.now())
            return "requested"

    def purge_results(self, limit: int) -> int:
        """Delete up to ``limit`` results whose time is over."""
        with transaction.atomic(using=self.alias):
            expired = self._results.filter(expires_at__lt=self.now()).order_by("expires_at")
            if self._locks_rows:
                expired = expired.select_for_update(skip_locked=True)
            ids = list(expired.values_list("pk", flat=True)[:limit])
            return self._results.filter(pk__in=ids).delete()[0] if ids else 0

    def vanished_workers(self) -> QuerySet[Worker]:
        """Workers whose sign of life is too old."""
        return Worker.objects.using(self.alias).filter(seen_at__lt=self.now() - timedelta(seconds=WORKER_VANISHED))

    # Waiting

    def await_result(self, message_id: str) -> None:
        """Ask whoever settles this message to announce it."""

    def lives(self, message_id: str) -> bool:
        """Say whether the message is there, as seen from this connection."""
        return self._messages.filter(pk=message_id).exists()

    def listen(self, *channels: str) -> AbstractContextManager[Listener]:
        """Open what wakes a waiter on these channels."""
        return Listener(self)

    # Time and errors

    def now(self) -> datetime:
        """The database's clock; a database in this process or without its own way in the ORM lends the host's."""
        return timezone.now()

    def moment(self, epoch: float) -> datetime:
        """Seconds since the epoch as this project's kind of datetime."""
        moment = datetime.fromtimestamp(epoch, tz=timezone.get_default_timezone())
        return moment if timezone.is_aware(timezone.now()) else timezone.make_naive(moment)

    def epoch(self, moment: datetime | None) -> float | None:
        """A datetime of this project as seconds since the epoch."""
        if moment is None:
            return None
        return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).timestamp()

    def is_transient(self, error: DatabaseError) -> bool:
        """Say whether the same transaction may succeed if it is simply run again."""
        cause = error.__cause__
        code = getattr(cause, "sqlstate", None) or (cause.args[0] if cause is not None and cause.args else None)
        return code in self.transient_codes

    def is_disconnected(self, error: Exception) -> bool:
        """Say whether the error speaks of the connection or the server, and not of what was sent."""
        return isinstance(error, (OperationalError, InterfaceError))

    # What the portable way is made of

    @property
    def _locks_rows(self) -> bool:
        return bool(self.connection.features.has_select_for_update_skip_locked)

    @property
    def _messages(self) -> QuerySet[Message]:
        return Message.objects.using(self.alias)

    @property
    def _results(self) -> QuerySet[Result]:
        return Result.objects.using(self.alias)

    def _held(self, token: Token) -> QuerySet[Message]:
        return self._messages.filter(pk=token.id, deliveries=token.deliveries, leased_until__isnull=False)


class Listener:
    """Waits for an announcement; where the database makes none, for the next poll."""

    def __init__(self, vendor: Vendor, poll_seconds: float = 0.05) -> None:
        self.vendor = vendor
        self.poll_seconds = poll_seconds

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def wait(self, timeout: float) -> Iterable[str] | None:
        """Sleep until something may have happened, at most ``timeout`` seconds; the payloads, or None if unknown."""
        time.sleep(min(timeout, self.poll_seconds))
        return None

    def close(self) -> None:
        """Give back what listening held."""


def already_enqueued(messages: Sequence[NewMessage]) -> AlreadyEnqueued:
    """Make the error for ids of which at least one is taken."""
    ids = ", ".join(message.id for message in messages[:3])
    return AlreadyEnqueued(f"a message with this task_id waits or runs already: {ids}; see exist_ok=True")
