"""What stands around a task in its workflow: some tasks before and after it, and how many there are beside them.

Edges are there as long as somebody waits. Of what has ended its parent tells, and of the body of a chord its header.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from djtasks.admin.tasks.listing import TABLES, Listing
from djtasks.admin.tasks.seen import Seen, seen
from djtasks.conf import settings
from djtasks.domain.identifiers import as_uuid
from djtasks.domain.workflows import NO_EDGES, SUCCESS
from djtasks.models import Dependency, Invocation

MOST_NODES = 60
MOST_STEPS = 6
MOST_LINKS = 400
MOST_COUNTED = 10_000
# It was sent by the other one, or came after it when there were edges.
CAME_OF = "came of"

Link = tuple[UUID, UUID]


class Surroundings(NamedTuple):
    """Some tasks, which of them comes before which and on what condition, and how many more are next to them."""

    tasks: list[Seen]
    links: dict[Link, str]
    more: int
    # Whether that are all.
    is_counted: bool


def around(listing: Listing, task: Seen) -> Surroundings:
    """Walk from a task step by step, either way, until there are enough."""
    rows: dict[UUID, Invocation] = {}
    next_ids = [task.pk]
    for _step in range(MOST_STEPS + 1):
        fresh = {row.pk: row for row in listing.find(next_ids[: MOST_NODES - len(rows)], in_full=False)}
        rows |= fresh
        if not fresh or len(rows) == MOST_NODES:
            break
        next_ids = [pk for pk in _next_to(fresh) if pk not in rows]
    # The task itself first: in a large group it would be out of sight.
    ordered = sorted(rows, key=lambda pk: (pk != task.pk, pk))
    return Surroundings(list(seen(rows[pk] for pk in ordered)), dict(_links(rows)), *_more(rows))


def _next_to(rows: Mapping[UUID, Invocation]) -> Iterable[UUID]:
    """Name those before and after these, by turns, so that many of the one kind leave room for the other."""
    ids = list(rows)
    kinds: list[Iterable[UUID | None]] = [
        (row.parent for row in rows.values()),
        by_index(_edges(), ids, "upstream").values_list("message", flat=True)[:MOST_NODES],
        by_index(_edges(), ids, "message", "position").values_list("upstream", flat=True)[:MOST_NODES],
        *(others.values_list("pk", flat=True)[:MOST_NODES] for others in _related(rows)),
    ]
    by_turns = chain.from_iterable(zip_longest(*kinds))
    return dict.fromkeys(pk for pk in by_turns if pk is not None)


def _related(rows: Mapping[UUID, Invocation]) -> Iterator[QuerySet[Any]]:
    """Yield what came of these, and the members of their headers, as far as no edge tells of it."""
    headers = [header for row in rows.values() if (header := _header(row))]
    for table in TABLES:
        others = table.objects.using(settings.DATABASE)
        yield by_index(others.filter(inputs=NO_EDGES), list(rows), "parent")
        if headers:
            yield by_index(others, headers, "group")


def _links(rows: Mapping[UUID, Invocation]) -> Iterator[tuple[Link, str]]:
    """Yield the links between these; of two that are the same the edge is the last, and tells its condition."""
    members: dict[UUID, list[UUID]] = {}
    for row in rows.values():
        if row.group:
            members.setdefault(row.group, []).append(row.pk)
    for row in rows.values():
        if row.parent and row.parent in rows:
            yield (row.parent, row.pk), CAME_OF
        if header := _header(row):
            yield from (((pk, row.pk), SUCCESS) for pk in members.get(header, ()))
    between = _edges().filter(message__in=rows, upstream__in=rows).order_by("pk")
    for message, upstream, condition in between.values_list("message", "upstream", "on")[:MOST_LINKS]:
        yield (upstream, message), condition


def by_index(rows: QuerySet[Any], ids: list[UUID], *columns: str) -> QuerySet[Any]:
    """Find rows by a column in the order of its index, so that of very many no more are read than are wanted.

    Of one id in a range: to equal it would be no order, and a whole table might be read in another one.
    """
    name = columns[0]
    fits = {f"{name}__range": (ids[0], ids[0])} if len(ids) == 1 else {f"{name}__in": ids}
    return rows.filter(**fits).order_by(*columns)


def _more(rows: Mapping[UUID, Invocation]) -> tuple[int, bool]:
    """Count those next to these that are not among them, each once; and say whether that are all."""
    ids = list(rows)
    before = by_index(_edges().exclude(upstream__in=ids), ids, "message").values_list("upstream", flat=True)
    after = by_index(_edges().exclude(message__in=ids), ids, "upstream").values_list("message", flat=True)
    others = (others.exclude(pk__in=ids).values_list("pk", flat=True) for others in _related(rows))
    found = [list(each[:MOST_COUNTED]) for each in (before, after, *others)]
    return len(set().union(*found)), all(len(each) < MOST_COUNTED for each in found)


def _edges() -> QuerySet[Dependency]:
    return Dependency.objects.using(settings.DATABASE)


def _header(row: Invocation) -> UUID | None:
    """Name the group after which a body came, where no edge does so any more."""
    header = row.options.get("header") if isinstance(row.options, Mapping) and row.inputs == NO_EDGES else None
    try:
        return as_uuid(header) if header else None
    except ValueError:
        return None
