"""Messages and results as one list, the newest first: a page at a time, at a cost that does not grow with the tables.

Nothing is counted. A page goes on from the id where the one before ended. Of what does not fit only so many rows are
looked at: who wants more goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from djtasks.admin.tasks.criteria import Criteria
from djtasks.conf import settings
from djtasks.models import Invocation, Message, Result

Visible = Callable[[QuerySet[Any]], QuerySet[Any]]

PAGE = 50
MOST_LOOKED_AT = 20_000
# Of what may fit so many are read at a time.
CANDIDATES = 500
# A message becomes a result and never the other way round, so messages are read first.
TABLES: tuple[Any, ...] = (Message, Result)
ARGUMENTS = ("args", "kwargs", "options")
LARGE = {Message: ("errors", "meta"), Result: ("errors", "value")}


class Horizon(NamedTuple):
    """The row up to which was looked."""

    id: UUID
    enqueued_at: datetime


class Page(NamedTuple):
    """Tasks, the newest first; the ids from which it goes on either way; how far was looked, if not to the end."""

    tasks: list[Invocation]
    older: UUID | None = None
    newer: UUID | None = None
    horizon: Horizon | None = None


def everything(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Let all be seen."""
    return rows


@dataclass(frozen=True)
class Listing:
    """All tasks that fit and may be seen."""

    criteria: Criteria
    visible: Visible

    def page(self, before: UUID | None = None, after: UUID | None = None, size: int = PAGE) -> Page:
        """Return what is older than ``before``, newer than ``after``, or newest."""
        if after is None or before is not None:
            return self._read(before, True, size)
        page = self._read(after, False, size)
        return page if page.newer else self._read(None, True, size)

    def find(self, ids: list[UUID], *, in_full: bool = True) -> list[Invocation]:
        """Return those of these tasks that may be seen, the newest first; what may be large only in full."""
        found: dict[UUID, Invocation] = {}
        for table in TABLES:
            left_out = () if in_full else (*LARGE[table], "args", "kwargs")
            found |= {row.pk: row for row in self._rows(table).filter(pk__in=ids).defer(*left_out)}
        return sorted(found.values(), key=attrgetter("pk"), reverse=True)

    def _read(self, bound: UUID | None, descending: bool, size: int) -> Page:
        searches = self.criteria.narrows and not self.criteria.is_exact
        horizon = self._horizon(bound, descending) if searches else None
        some = max(size + 1, CANDIDATES) if self._reads_arguments else size + 1
        read = [self._fitting(table, bound, horizon, descending, some) for table in TABLES]
        both = merge(*read, key=attrgetter("pk"), reverse=descending)
        found = [[*same][-1] for _, same in islice(groupby(both, key=attrgetter("pk")), size + 1)]
        tasks = found[:size]
        edge = horizon and horizon.id
        if len(found) > size:
            edge, horizon = tasks[-1].pk, None
        if descending:
            return Page(tasks, older=edge, newer=tasks[0].pk if bound and tasks else None, horizon=horizon)
        tasks.reverse()
        return Page(tasks, older=tasks[-1].pk if tasks else None, newer=edge, horizon=horizon)

    def _horizon(self, bound: UUID | None, descending: bool) -> Horizon | None:
        """Find the row up to which both tables are looked at."""
        far: list[Horizon] = []
        for table in TABLES:
            rows = _ordered(self._rows(table), bound, descending).values_list("pk", "enqueued_at")
            far += [Horizon(*row) for row in rows[MOST_LOOKED_AT : MOST_LOOKED_AT + 1]]
        return (max if descending else min)(far, default=None)

    def _fitting(
        self, table: Any, bound: UUID | None, horizon: Horizon | None, descending: bool, count: int
    ) -> Iterator[Invocation]:
        fits = self.criteria.of(table)
        if fits is None:
            return
        rows = self._rows(table).filter(fits).defer(*LARGE[table], *(() if self._reads_arguments else ARGUMENTS))
        if horizon:
            rows = rows.filter(**{"pk__gte" if descending else "pk__lte": horizon.id})
        while some := list(_ordered(rows, bound, descending)[:count]):
            yield from filter(self.criteria.search.fits, some)
            if len(some) < count:
                return
            bound = some[-1].pk

    @property
    def _reads_arguments(self) -> bool:
        return bool(self.criteria.search.arguments)

    def _rows(self, table: Any) -> QuerySet[Any]:
        return self.visible(table.objects.using(settings.DATABASE))


def _ordered(rows: QuerySet[Any], bound: UUID | None, descending: bool) -> QuerySet[Any]:
    if bound:
        rows = rows.filter(**{"pk__lt" if descending else "pk__gt": bound})
    return rows.order_by("-pk" if descending else "pk")
