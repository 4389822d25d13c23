"""Where messages stand in a workflow: what each waits for and what it takes, and the message that is made of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import NewMessage
from djtasks.domain.signatures import Call, Data, listed
from djtasks.domain.workflows import ALL, FEEDS_NOBODY, LIST, NO_EDGES, NOTHING, VALUE, Edge
from djtasks.tasks import registry
from djtasks.tasks.canvas.draft import as_signature
from djtasks.tasks.canvas.keeping import kept_errback
from djtasks.tasks.preparing import Part, prepare, standing_of
from djtasks.tasks.results.result import AsyncResult, GroupResult


class Laid(NamedTuple):
    """What was laid, as those see it who wait for it: one message, or the members of a group (``several``).

    ``like`` is the last of the messages. Without ``hands`` it is waited for, and its value is not taken.
    """

    handle: AsyncResult | GroupResult | None
    ids: Sequence[str]
    like: NewMessage | None
    several: bool = False
    hands: bool = True


class Place(NamedTuple):
    """Where a signature stands in its workflow: after what was laid, and after other messages under a condition each.

    ``group`` is the id of the group whose member it is. With ``as_one`` its value is to be that of one message,
    whatever it is. ``feeds`` says who waits for it.
    """

    after: Laid | None = None
    others: tuple[tuple[str, str], ...] = ()
    group: str | None = None
    as_one: bool = False
    feeds: int = FEEDS_NOBODY

    @property
    def inputs(self) -> str:
        """What a message in this place takes from those for which it waits."""
        if self.after is None or not self.after.ids:
            return NOTHING if self.others else NO_EDGES
        if self.after.several:
            return LIST if self.after.hands else ALL
        return VALUE if self.after.hands else NOTHING

    @property
    def group_before(self) -> GroupResult | None:
        """The group whose values are taken here, or at least waited for."""
        return self.after.handle if self.after is not None and isinstance(self.after.handle, GroupResult) else None

    def taken_by(self, message: NewMessage, root: str | None) -> NewMessage:
        """Put a message in this place, in the workflow that began with ``root``, unless it is the first itself."""
        before = self.after if self.after is not None and self.after.ids and not self.after.several else None
        return message._replace(
            group=message.group or self.group,
            root=root or message.root,
            parent=message.parent if before is None else before.ids[0],
            inputs=self.inputs,
            feeds=self.feeds,
            blocked=self.inputs != NO_EDGES,
        )

    def edges(self, message: str) -> Iterator[Edge]:
        """Yield the edges of a message in this place."""
        yield from (Edge(message, upstream, None, on) for upstream, on in self.others)
        if self.after is not None:
            for position, upstream in enumerate(self.after.ids):
                yield Edge(message, upstream, position if self.after.hands else None)


ANYWHERE = Place()


class Placing:
    """The messages of one workflow while they are made: their edges, and the ids that the caller chose, so far."""

    def __init__(self, *, sends: bool = True) -> None:
        self.edges: list[Edge] = []
        self.chosen: list[str] = []
        self._root: str | None = None
        self._sends = sends

    def message(self, name: str, call: Call, place: Place, kept: Data | None = None) -> NewMessage:
        """Make the message of a call in its place, and its edges."""
        args, kwargs, options = call
        if options.get("task_id"):
            self.chosen.append(str(options["task_id"]))
        kept = dict(kept or {})
        if (group := place.group_before) is not None:
            kept["header"] = group.id
        if errbacks := as_signature(listed(options.get("link_error"))):
            own_id = str(options.get("task_id") or uuid7())
            options = {**options, "task_id": own_id}
            standing = standing_of(name, options)
            kept["link_error"] = [kept_errback(each, own_id, self._root or own_id, standing) for each in errbacks]
        part = Part(self._sends, int(place.inputs in (VALUE, LIST)), kept)
        prepared = prepare(name, registry.find(name), args, kwargs, options, part)
        message = place.taken_by(prepared, self._root)
        self._root = self._root or message.root or message.id
        self.edges += place.edges(message.id)
        return message
