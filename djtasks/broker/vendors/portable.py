"""The portable way, through Django's ORM: for MySQL and MariaDB, and what the other vendors are measured by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from sqlite3 import SQLITE_CONSTRAINT_PRIMARYKEY
from typing import Any
from uuid import UUID

from django.db.models import Case, Q, Value, When
from django.db.models.functions import Coalesce

from djtasks.broker.vendors.answers import Exchange, Recovered
from djtasks.broker.vendors.orm import OrmVendor
from djtasks.broker.vendors.rows import (
    adopted,
    chosen,
    epoch_of,
    in_queues,
    later,
    leased,
    message_of,
    put_back,
    reservation_of,
)
from djtasks.domain import workflows
from djtasks.domain.messages import Demand, NewMessage, Supply, Token
from djtasks.domain.outcomes import Ending, Settlement, ending_of
from djtasks.domain.workflows import Edge
from djtasks.models import Dependency


class PortableVendor(OrmVendor):
    """Any database that Django supports."""

    # MySQL's deadlocks, and waits that were too long; and what it says of a key that is there, as do those after it.
    transient_codes = frozenset({1213, 1205})
    taken_codes = frozenset({1062, "23505", SQLITE_CONSTRAINT_PRIMARYKEY})

    def insert(self, messages: Sequence[NewMessage], chosen: Sequence[str] | None = None) -> datetime:
        with self.taken_refused(messages), self._transaction() as now:
            self._messages.bulk_create([message_of(new, now) for new in messages])
        return now

    def insert_workflow(self, messages: Sequence[NewMessage], edges: Sequence[Edge]) -> None:
        if messages:
            self.insert(messages)
        with self._bound():
            self._edges.bulk_create([Dependency(**edge._asdict()) for edge in edges])

    def exchange(
        self,
        settlements: Sequence[Settlement],
        begin: Sequence[tuple[Token, bool]],
        demand: Demand | None,
        *,
        hostname: str,
        retention: float | None,
    ) -> Exchange:
        ends, late = {each.token: each for each in settlements}, dict(begin)
        settled, begun = set[Token](), set[Token]()
        with self._transaction() as now:
            # Rows are locked in the order of their ids, by everyone.
            for token in sorted({*ends, *late}):
                if token in ends and self._settle(ends[token], now, hostname, retention):
                    settled.add(token)
                if token in late and self._begin(token, late[token], now):
                    begun.add(token)
            if feeding := [each.token.id for each in settlements if each.unblocks]:
                self._unblock(feeding, now)
            supply = self._reserve(demand, now) if demand else Supply([])
        return Exchange(settled, begun, supply)

    def _settle(self, settlement: Settlement, now: datetime, hostname: str, retention: float | None) -> bool:
        held = self._held(settlement.token)
        if ending := ending_of(settlement):
            return self._end(held, ending, now, hostname, retention)
        changes = put_back(settlement, now)
        if due_at := changes.pop("due_at", None):
            # A revoked one ends as soon as it can be received.
            changes["due_at"] = Case(When(revoked_at=None, then=Value(due_at)), default="due_at")
        return bool(held.update(**changes))

    def _begin(self, token: Token, late: bool, now: datetime) -> bool:
        return bool(self._held(token).filter(revoked_at=None).update(started_at=now, acks_late=late))

    def _reserve(self, demand: Demand, now: datetime) -> Supply:
        free = Q(leased_until=None) | Q(leased_until__lt=now) if demand.lapsed else Q(leased_until=None)
        wanted = in_queues(self._messages, demand)
        ready = chosen(wanted.filter(free, due_at__lte=now), demand, now)
        if not demand.limit:
            return Supply([], 0.0 if ready.exists() else None)
        reservations = []
        for row in self._taken(ready.values(), demand.limit):
            changes, reservation = leased(row, demand, now, self._inputs(row))
            self._messages.filter(pk=row["id"]).update(**changes)
            reservations.append(reservation)
        next_due = None
        if len(reservations) < demand.limit:
            due_at = wanted.filter(due_at__gt=now).order_by("due_at").values_list("due_at", flat=True).first()
            next_due = None if due_at is None else (due_at - now).total_seconds()
        return Supply(reservations, next_due, epoch_of(now) if demand.chooses else None)

    def renew(self, tokens: Collection[Token], lease: float) -> set[Token]:
        with self._transaction() as now:
            named = self._leased(tokens)
            rows = self._locked(named, skip=True).order_by("pk").values_list("pk", "deliveries")
            mine = set(tokens) & {Token(str(pk), deliveries) for pk, deliveries in rows}
            # One by one, for MySQL may look for several by reading all rows, and waits for those that others settle.
            for token in sorted(mine):
                self._messages.filter(pk=token.id).update(leased_until=later(now, lease))
            # Those that someone has locked are being settled right now.
            held = {Token(str(pk), deliveries) for pk, deliveries in named.values_list("pk", "deliveries")}
        return held & set(tokens)

    def revoked(self, tokens: Collection[Token]) -> dict[Token, str]:
        with self._bound():
            rows = self._leased(tokens).filter(revoked_at__isnull=False).values_list("pk", "deliveries", "terminate")
            found = {Token(str(pk), deliveries): terminate for pk, deliveries, terminate in rows}
        return {token: found[token] for token in tokens if token in found}

    def note(self, notes: Mapping[Token, str]) -> set[Token]:
        with self._transaction():
            free = [token for token in sorted(notes) if self._locked(self._held(token), skip=True).values("pk")[:1]]
            return {token for token in free if self._held(token).update(meta=Value(notes[token]))}

    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        with self._transaction() as now:
            mine = self._messages.filter(worker=worker, leased_until__isnull=False)
            rows: Iterable[Mapping[str, Any]] = mine.values()
            leases = [adopted(reservation_of(row, False, now, self._inputs(row)), row["errors"]) for row in rows]
            unknown = [reservation for reservation in leases if reservation.token not in held]
            named = {"pk__in": {token.id for token in held}}
            back = self._messages.filter(leased_until=None, **named).values_list("pk", "deliveries")
            ended = self._results.filter(**named).values_list("pk", "deliveries")
            written = {Token(str(pk), deliveries) for found in (back, ended) for pk, deliveries in found}
        ours = self.renew([reservation.token for reservation in unknown], lease)
        return Recovered([reservation for reservation in unknown if reservation.token in ours], written & set(held))

    def revoke(
        self, message_id: UUID, error: str, *, hostname: str, retention: float | None, terminate: str = ""
    ) -> str | None:
        with self._transaction() as now:
            message = self._messages.filter(pk=message_id)
            signal = {"terminate": terminate} if terminate else {}
            # The write comes first: it locks the row, or the file.
            if not message.update(revoked_at=Coalesce("revoked_at", now), **signal):
                return None
            unbegun = message.filter(Q(leased_until=None) | Q(acks_late=False, started_at=None))
            ending = Ending(Token(str(message_id), 0), "REVOKED", None, error, None, workflows.REVOKED)
            ended = self._end(unbegun, ending, now, hostname, retention, ran=False)
            return "revoked" if ended else "requested"

    def purge_results(self, limit: int) -> int:
        with self._transaction() as now:
            expired = self._results.filter(expires_at__lt=now).order_by("expires_at")
            ids = self._taken(expired.values_list("pk", flat=True), limit)
            self._edges.filter(message__in=ids).delete()
            # One by one, for MySQL may look for several by reading all rows, and waits for those that others delete.
            return sum(self._results.filter(pk=pk).delete()[0] for pk in ids)

    def await_results(self, ids: Sequence[str]) -> None:
        """Do nothing: here whoever waits looks again and again."""

    def living(self, ids: Collection[str]) -> set[str]:
        with self._bound():
            return {str(pk) for pk in self._messages.filter(pk__in=ids).values_list("pk", flat=True)}
