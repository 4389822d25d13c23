"""What the end of a message means for those who wait for it, where it was no plain success."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Q, QuerySet

from djtasks.broker.vendors import Vendor
from djtasks.broker.vendors.downstream import downstream
from djtasks.broker.vendors.rows import as_text, unblocked
from djtasks.domain import errbacks, states
from djtasks.domain.batches import batches
from djtasks.domain.ends import DROPPED, End, doomed_by
from djtasks.domain.outcomes import Replaced, Settlement, ending_of
from djtasks.domain.workflows import FAILURE, OF_BODIES, OPEN, REVOKED, SUCCESS, prepended
from djtasks.models import Dependency, Message

logger = logging.getLogger("djtasks.broker")
BATCH = 1000


def has_consequences(settlement: Settlement) -> bool:
    """Say whether more follows from a settlement than what the vendor does in the same statement."""
    if isinstance(settlement.outcome, Replaced):
        return True
    message = settlement.message
    # Asked of every message: what is true of most of them comes first.
    if message is None or settlement.unblocks or not (message.feeds or errbacks.are_kept(message.options)):
        return False
    ending = ending_of(settlement)
    return ending is not None and (bool(message.feeds) or ending.fate == FAILURE)


def consequences(vendor: Vendor, settlement: Settlement, *, hostname: str, retention: float | None) -> None:
    """Do what follows from a settlement that was just written, in the transaction that is open."""
    message, ending = settlement.message, ending_of(settlement)
    if message is None or ending is None:
        return
    resolver = Resolver(vendor, hostname, retention)
    end = End(ending.fate, ending.state, ending.error)
    if ending.fate == FAILURE:
        resolver.call_errbacks({**message._asdict(), "args": prepended(message.handed, message.args)}, end)
    if message.feeds:
        resolver.resolve({message.id: end})


def consequences_of_revocation(vendor: Vendor, message_id: UUID, error: str, *, retention: float | None) -> None:
    """Do what follows from the revocation of a message that never ran, in the transaction that is open."""
    end = End(REVOKED, states.REVOKED, error)
    Resolver(vendor, "", retention).resolve({str(message_id): end})


class Resolver:
    """Ends what can no longer run, and lets come due what has nothing left to wait for."""

    def __init__(self, vendor: Vendor, hostname: str, retention: float | None) -> None:
        self.vendor = vendor
        self.hostname = hostname
        self.retention = retention
        self.now = vendor.now()
        self._called: set[tuple[Any, ...]] = set()

    @property
    def _messages(self) -> QuerySet[Message]:
        return Message.objects.using(self.vendor.alias)

    @property
    def _edges(self) -> QuerySet[Dependency]:
        return Dependency.objects.using(self.vendor.alias)

    def resolve(self, ends: Mapping[str, End]) -> None:
        """Deal with those who wait for what has ended so; its edges say so already."""
        while ends:
            doomed = self._end_doomed({pk: end for pk, end in ends.items() if end.fate != SUCCESS})
            ends = self._release({**ends, **doomed})

    def _end_doomed(self, causes: Mapping[str, End]) -> dict[str, End]:
        """End all who wait for the success of these, directly or not; say how."""
        dependents: dict[str, list[str]] = {}
        for message, upstream in downstream(self.vendor.connection, causes):
            dependents.setdefault(upstream, []).append(message)
        rows = self._locked({message for messages in dependents.values() for message in messages})
        ends, ended = dict(causes), list(causes)
        # What is added while this goes on has dependents of its own.
        for upstream in ended:
            for message in dependents.get(upstream, ()):
                if message in rows and message not in ends:
                    ends[message] = doomed_by(upstream, ends[upstream], rows[message]["inputs"])
                    ended.append(message)
        doomed = {pk: end for pk, end in ends.items() if pk not in causes}
        self._call_errbacks_of_bodies([pk for pk in doomed if rows[pk]["inputs"] in OF_BODIES], doomed)
        self._end(doomed)
        return doomed

    def _release(self, ends: Mapping[str, End]) -> dict[str, End]:
        """Let come due who waited for nothing else; drop who waited for failures that never came, and say who did."""
        dropped: dict[str, End] = {}
        for some in batches(self._others(ends), BATCH):
            rows = self._locked(some)
            edges = self._edges.filter(message__in=rows)
            vain = edges.filter(Q(on=FAILURE) & ~Q(fate__in=(OPEN, FAILURE)))
            dropped |= {str(pk): DROPPED for pk in vain.values_list("message", flat=True)}
            waiting = {str(pk) for pk in edges.filter(fate=OPEN).values_list("message", flat=True).distinct()}
            for pk in rows.keys() - dropped.keys() - waiting:
                self._messages.filter(pk=pk).update(**unblocked(rows[pk], self.now))
        self._end(dropped)
        for few in batches(dropped, BATCH):
            self._edges.filter(message__in=few).delete()
        return dropped

    def _others(self, ends: Mapping[str, End]) -> list[UUID]:
        """Name who waits for these and is not doomed, in the order in which all lock."""
        found: set[UUID] = set()
        for some in batches(ends, BATCH):
            succeeded = [pk for pk in some if ends[pk].fate == SUCCESS]
            edges = self._edges.filter(~Q(on=SUCCESS) | Q(upstream__in=succeeded), upstream__in=some)
            found.update(edges.values_list("message", flat=True))
        return sorted(found)

    def _locked(self, ids: Iterable[UUID | str]) -> dict[str, Mapping[str, Any]]:
        """Lock who still waits of these."""
        rows: dict[str, Mapping[str, Any]] = {}
        for some in batches(sorted(map(str, ids)), BATCH):
            blocked = self._messages.filter(pk__in=some, due_at=None).order_by("pk")
            if self.vendor.connection.features.has_select_for_update:
                blocked = blocked.select_for_update()
            found = blocked.values("pk", "inputs", "delay", "eta", "lifetime")
            rows |= {str(row["pk"]): row for row in found}
        return rows

    def _end(self, ends: Mapping[str, End]) -> None:
        """End blocked messages, all that end alike at once."""
        alike: dict[End, list[str]] = {}
        for pk, end in ends.items():
            alike.setdefault(end, []).append(pk)
        for end, ids in alike.items():
            for some in batches(ids, BATCH):
                self.vendor.end_blocked(some, end, hostname=self.hostname, retention=self.retention)

    def _call_errbacks_of_bodies(self, bodies: list[str], ends: Mapping[str, End]) -> None:
        for some in batches(bodies, BATCH):
            for row in self._messages.filter(pk__in=some).values("id", "task", "args", "kwargs", "retries", "options"):
                self.call_errbacks(row, ends[str(row["id"])])

    def call_errbacks(self, row: Mapping[str, Any], end: End) -> None:
        """Insert the errbacks of a message that has failed; each is called once for one failure (CANV-3)."""
        try:
            told = {**row, "id": str(row["id"]), "args": as_text(row["args"]), "kwargs": as_text(row["kwargs"])}
            for message in errbacks.messages_of(as_text(row["options"]), told, end.error):
                if (key := (message.task, message.args, message.kwargs)) not in self._called:
                    self._called.add(key)
                    # A transaction in the transaction, for what the database refuses.
                    with self.vendor.atomic():
                        self.vendor.insert([message])
        # The row may have been spoilt by hand: its own end stands all the same.
        except Exception as error:
            if isinstance(error, DatabaseError) and not self.vendor.is_refusal(error):
                raise
            logger.exception("the errbacks of %s[%s] cannot be called", row["task"], row["id"])
