"""The portable way, through Django's ORM: for MySQL and MariaDB, and what the other vendors are measured by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connections, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from djtasks.broker.vendors.answers import Exchange, Recovered, Renewed
from djtasks.broker.vendors.base import Vendor, already_enqueued, unencodable_refused
from djtasks.broker.vendors.rows import begun_before, later, leased, message_of, put_back, reservation_of, result_of
from djtasks.domain.messages import Demand, NewMessage, Supply, Token
from djtasks.domain.outcomes import Ending, Settlement, ending_of
from djtasks.models import Message, Result


class PortableVendor(Vendor):
    """Any database that Django supports."""

    transient_codes = frozenset({1213, 1205})

    def insert(self, messages: Sequence[NewMessage]) -> None:
        try:
            with self._transaction() as now:
                self._messages.bulk_create([message_of(new, now) for new in messages])
        except IntegrityError as error:
            raise already_enqueued(messages) from error

    def exchange(
        self,
        settlements: Sequence[Settlement],
        begin: Sequence[tuple[Token, bool]],
        demand: Demand | None,
        *,
        hostname: str,
        retention: float | None,
    ) -> Exchange:
        with self._transaction() as now:
            # Rows are locked in the order of their ids, by everyone.
            in_order = sorted(settlements, key=attrgetter("token"))
            settled = {each.token for each in in_order if self._settle(each, now, hostname, retention)}
            begun = {token for token, late in sorted(begin) if self._begin(token, late, now)}
            supply = self._reserve(demand, now) if demand else Supply([])
        return Exchange(settled, begun, supply)

    def _settle(self, settlement: Settlement, now: datetime, hostname: str, retention: float | None) -> bool:
        held = self._held(settlement.token)
        if ending := ending_of(settlement):
            return self._end(held, ending, now, hostname, retention)
        return bool(held.update(**put_back(settlement, now)))

    def _end(
        self, held: QuerySet[Message], ending: Ending, now: datetime, hostname: str, retention: float | None
    ) -> bool:
        row = self._locked(held).values().first()
        if row is None or not held.delete()[0]:
            return False
        if ending.state is not None:
            named = self.connection.features.supports_update_conflicts_with_target
            self._results.bulk_create(
                [result_of(row, ending, now, hostname, retention)],
                update_conflicts=True,
                unique_fields=["id"] if named else None,
                update_fields=[field.name for field in Result._meta.fields if not field.primary_key],
            )
        return True

    def _begin(self, token: Token, late: bool, now: datetime) -> bool:
        return bool(self._held(token).filter(revoked_at=None).update(started_at=now, acks_late=late))

    def _reserve(self, demand: Demand, now: datetime) -> Supply:
        free = Q(leased_until=None) | Q(leased_until__lt=now) if demand.lapsed else Q(leased_until=None)
        wanted = self._messages.exclude(queue__in=demand.excluded)
        if demand.queues is not None:
            wanted = wanted.filter(queue__in=demand.queues)
        ready = wanted.filter(free, due_at__lte=now).order_by("-priority", "due_at", "id")
        reservations = []
        for row in self._locked(ready, skip=True).values()[: demand.limit]:
            changes, reservation = leased(row, demand, now)
            self._messages.filter(pk=row["id"]).update(**changes)
            reservations.append(reservation)
        next_due = None
        if len(reservations) < demand.limit:
            due_at = wanted.filter(due_at__gt=now).order_by("due_at").values_list("due_at", flat=True).first()
            next_due = None if due_at is None else (due_at - now).total_seconds()
        return Supply(reservations, next_due)

    def renew(self, tokens: Collection[Token], lease: float) -> Renewed:
        with self._transaction() as now:
            named = self._messages.filter(pk__in={token.id for token in tokens}, leased_until__isnull=False)
            rows = self._locked(named, skip=True).order_by("pk").values_list("pk", "deliveries", "revoked_at")
            asked_to_stop = {Token(str(pk), deliveries): revoked_at is not None for pk, deliveries, revoked_at in rows}
            mine = set(tokens) & asked_to_stop.keys()
            self._messages.filter(pk__in=[token.id for token in mine]).update(leased_until=later(now, lease))
            # Those that someone has locked are being settled right now.
            held = {Token(str(pk), deliveries) for pk, deliveries in named.values_list("pk", "deliveries")}
        return Renewed(held & set(tokens), {token for token in mine if asked_to_stop[token]})

    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        with self._transaction() as now:
            rows = self._messages.filter(worker=worker, leased_until__isnull=False).values()
            leases = [reservation_of(row, begun_before(row, lease), now) for row in rows]
            unknown = [reservation for reservation in leases if reservation.token not in held]
            named = {"pk__in": {token.id for token in held}}
            back = self._messages.filter(leased_until=None, **named).values_list("pk", "deliveries")
            ended = self._results.filter(**named).values_list("pk", "deliveries")
            written = {Token(str(pk), deliveries) for rows in (back, ended) for pk, deliveries in rows}
        ours = self.renew([reservation.token for reservation in unknown], lease).held
        return Recovered([reservation for reservation in unknown if reservation.token in ours], written & set(held))

    def revoke(self, message_id: UUID, error: str, *, hostname: str, retention: float | None) -> str | None:
        with self._transaction() as now:
            message = self._messages.filter(pk=message_id)
            # The write comes first: it locks the row, or the file.
            if not message.update(revoked_at=Coalesce("revoked_at", now)):
                return None
            unbegun = message.filter(Q(leased_until=None) | Q(acks_late=False, started_at=None))
            ending = Ending(Token(str(message_id), 0), "REVOKED", None, error, None)
            return "revoked" if self._end(unbegun, ending, now, hostname, retention) else "requested"

    def purge_results(self, limit: int) -> int:
        with self._transaction() as now:
            expired = self._locked(self._results.filter(expires_at__lt=now), skip=True).order_by("expires_at")
            ids = list(expired.values_list("pk", flat=True)[:limit])
            return self._results.filter(pk__in=ids).delete()[0] if ids else 0

    def await_result(self, message_id: str) -> None:
        """Do nothing: here whoever waits looks again and again."""

    def lives(self, message_id: str) -> bool:
        with self._bound():
            return self._messages.filter(pk=message_id).exists()

    @contextmanager
    def _transaction(self) -> Iterator[datetime]:
        """Open a transaction on the vendor's own connection, and read the clock."""
        with self._bound(), transaction.atomic(using=self.alias):
            yield self.now()

    @contextmanager
    def _bound(self) -> Iterator[None]:
        """Let the ORM, which knows connections by alias and thread only, use the vendor's own."""
        usual = connections[self.alias]
        connections[self.alias] = self.connection
        try:
            with unencodable_refused():
                yield
        finally:
            connections[self.alias] = usual

    @property
    def _messages(self) -> QuerySet[Message]:
        return Message.objects.using(self.alias)

    @property
    def _results(self) -> QuerySet[Result]:
        return Result.objects.using(self.alias)

    def _held(self, token: Token) -> QuerySet[Message]:
        return self._messages.filter(pk=token.id, deliveries=token.deliveries, leased_until__isnull=False)

    def _locked(self, rows: QuerySet[Any], *, skip: bool = False) -> QuerySet[Any]:
        """Lock the rows, where rows can be locked."""
        locks = self.connection.features.has_select_for_update_skip_locked
        return rows.select_for_update(skip_locked=skip) if locks else rows
