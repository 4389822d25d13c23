"""Django's ORM on a connection of the queue's own: what the portable way stands on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast

from djtasks.broker.vendors.base import Vendor
from djtasks.broker.vendors.errors import unencodable_refused
from djtasks.broker.vendors.rows import as_text, result_of, unblocked
from djtasks.domain import workflows
from djtasks.domain.ends import End
from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Ending
from djtasks.models import Dependency, Message, Result


class OrmVendor(Vendor):
    """Tables as querysets, within transactions on this vendor's connection."""

    @contextmanager
    def _transaction(self) -> Iterator[datetime]:
        """Open a transaction on the vendor's own connection, and read the clock."""
        with self._bound(), self.atomic():
            yield self.now()

    @contextmanager
    def _bound(self) -> Iterator[None]:
        with self.bound(), unencodable_refused():
            yield

    @property
    def _messages(self) -> QuerySet[Message]:
        return Message.objects.using(self.alias)

    @property
    def _results(self) -> QuerySet[Result]:
        return Result.objects.using(self.alias)

    @property
    def _edges(self) -> QuerySet[Dependency]:
        return Dependency.objects.using(self.alias)

    def _leased(self, tokens: Collection[Token]) -> QuerySet[Message]:
        return self._messages.filter(pk__in={token.id for token in tokens}, leased_until__isnull=False)

    def _held(self, token: Token) -> QuerySet[Message]:
        return self._messages.filter(pk=token.id, deliveries=token.deliveries, leased_until__isnull=False)

    def end_blocked(self, ids: Sequence[str], end: End, *, hostname: str, retention: float | None) -> None:
        now = self.now()
        for pk in ids:
            ending = Ending(Token(pk, 0), end.state, None, end.error, None, end.fate)
            self._end(self._messages.filter(pk=pk, due_at=None), ending, now, hostname, retention, ran=False)

    def _end(
        self,
        held: QuerySet[Message],
        ending: Ending,
        now: datetime,
        hostname: str,
        retention: float | None,
        *,
        ran: bool = True,
    ) -> bool:
        row = self._locked(held).values().first()
        if row is None or not held.delete()[0]:
            return False
        self._resolve(row, ending)
        if row["inputs"] and ran:
            args = workflows.prepended(self._inputs(row), as_text(row["args"]))
            row |= {"args": args, "inputs": workflows.NO_EDGES}
            self._edges.filter(message=row["id"]).delete()
        if ending.state is not None:
            named = self.connection.features.supports_update_conflicts_with_target
            self._results.bulk_create(
                [result_of(row, ending, now, hostname, retention)],
                update_conflicts=True,
                unique_fields=["id"] if named else None,
                update_fields=[field.name for field in Result._meta.fields if not field.primary_key],
            )
        return True

    def _inputs(self, row: Mapping[str, Any]) -> str | None:
        """Read what goes before the arguments of a message."""
        if row["inputs"] not in (workflows.VALUE, workflows.LIST):
            return None
        edges = self._edges.filter(message=row["id"], position__isnull=False).order_by("position")
        values = edges.values_list(Cast("value", TextField()), flat=True)
        return workflows.inputs_of(row["inputs"], values)

    def _resolve(self, row: Mapping[str, Any], ending: Ending) -> None:
        """Write how a message has ended into the edges of those who wait for it."""
        if row["feeds"]:
            edges = self._edges.filter(upstream=row["id"])
            edges.update(fate=ending.fate)
            if ending.fate == workflows.SUCCESS:
                value = "null" if ending.value is None else ending.value
                edges.filter(position__isnull=False).update(value=Value(value))

    def _unblock(self, upstreams: Collection[str], now: datetime) -> None:
        """Let those come due that waited for these, and wait for nobody any more."""
        dependents = self._edges.filter(upstream__in=upstreams).values_list("message", flat=True)
        for pk in sorted(set(dependents)):
            # Of two transactions that write the last two edges neither sees the other's: first the lock, then the look.
            blocked = self._locked(self._messages.filter(pk=pk, due_at=None))
            row = blocked.values("delay", "eta", "lifetime").first()
            # From the last edge on, since those are written last.
            if row and not self._edges.filter(message=pk, fate="").order_by("-position").values("pk")[:1]:
                self._messages.filter(pk=pk).update(**unblocked(row, now))

    def _taken(self, rows: QuerySet[Any, Any], limit: int) -> list[Any]:
        """Lock the first of these rows that nobody has locked: key by key, since MySQL locks all that it looks at."""
        taken: list[Any] = []
        seen: list[Any] = []
        while (missing := limit - len(taken)) > 0:
            found = list(rows.exclude(pk__in=seen).values_list("pk", flat=True)[:missing])
            for pk in found:
                taken += self._locked(rows.filter(pk=pk), skip=True)
            seen += found
            if len(found) < missing:
                break
        return taken

    def _locked(self, rows: QuerySet[Any], *, skip: bool = False) -> QuerySet[Any]:
        """Lock the rows, where rows can be locked."""
        locks = self.connection.features.has_select_for_update_skip_locked
        return rows.select_for_update(skip_locked=skip) if locks else rows
