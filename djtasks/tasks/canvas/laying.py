"""A tree of signatures laid out as messages and the edges between them; nothing is sent here (CANV).

Signatures are read as plain data, and none is changed. Messages come one by one, those that are waited for before
those that wait, so that a group of any size is never held in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any

from djtasks.conf import settings
from djtasks.domain import signatures
from djtasks.domain.identifiers import canonical, uuid7
from djtasks.domain.messages import NewMessage
from djtasks.domain.signatures import (
    GATHER,
    NOTHING_MORE,
    OF_THE_GROUP,
    Call,
    Data,
    calls_of,
    group_of_chunks,
    kind_of,
    listed,
    merged,
    merged_for_members,
    plain,
    steps_of,
)
from djtasks.domain.workflows import END, FEEDS, FEEDS_NOBODY, NO_EDGES
from djtasks.tasks import registry
from djtasks.tasks.canvas.draft import as_signature
from djtasks.tasks.canvas.placing import ANYWHERE, Laid, Place, Placing
from djtasks.tasks.preparing import Options, handle_of, standing_of
from djtasks.tasks.results.nodes import Node
from djtasks.tasks.results.result import AsyncResult, GroupResult

Laying = Generator[NewMessage, None, Laid | None]


class Layout(Placing):
    """One workflow while it is laid."""

    handle: Any = None

    def messages(self, signature: Data, call: Call = NOTHING_MORE, place: Place = ANYWHERE) -> Iterator[NewMessage]:
        """Yield the messages of a signature; after the last the ``handle`` is known. An empty chain has none."""
        laid = yield from self.lay(signature, call, place)
        self.handle = laid and laid.handle

    def lay(self, signature: Data, call: Call = NOTHING_MORE, place: Place = ANYWHERE) -> Laying:
        """Lay a signature of any kind."""
        if signature.get("immutable") and place.after is not None:
            place = place._replace(after=place.after._replace(hands=False))
        match kind_of(signature):
            case None:
                return self.task(signature, call, place)
            case signatures.CHAIN:
                return self.chain(signature, call, place)
            case signatures.GROUP:
                return self.group(signature, call, place)
            case signatures.CHORD:
                return self.chord(signature, call, place)
            case signatures.CHUNKS:
                return self.group(group_of_chunks(signature), call, place)
            case signatures.XMAP | signatures.XSTARMAP:
                return self.map(signature, call, place)
        raise TypeError(f"there is no canvas of the type {signature['subtask_type']!r:.80}")

    def task(
        self, signature: Data, call: Call, place: Place, kept: Data | None = None
    ) -> Generator[NewMessage, None, Laid]:
        """Lay the message of a task, with which something may be ``kept``, and after it its callbacks."""
        args, kwargs, options = merged(signature, call)
        callbacks = as_signature(listed(options.pop("link", None)))
        if callbacks:
            place = place._replace(feeds=max(place.feeds, FEEDS))
        if (after := place.after) is not None and after.several and after.hands and not after.ids:
            # The body of a chord whose header is empty.
            args = ([], *args)
        message = self.message(signature["task"], Call(args, kwargs, options), place, kept)
        yield message
        laid = Laid(self.handle_of(message, options, after and after.handle), (message.id,), message)
        for callback in callbacks:
            yield from self.lay(callback, place=Place(laid))
        return laid

    def chain(self, signature: Data, call: Call, place: Place) -> Laying:
        """Lay steps each of which waits for the one before it."""
        steps = self.steps(signature, call)
        laid = None
        for position, step in enumerate(steps, 1):
            here = place if position == len(steps) else Place(feeds=FEEDS)
            others = place.others if position == 1 else ()
            laid = yield from self.lay(step, place=here._replace(after=laid or place.after, others=others))
        return laid

    def chord(self, signature: Data, call: Call, place: Place) -> Laying:
        """Lay a header, and the body that waits for all of it."""
        header, body = signature["kwargs"]["header"], signature["kwargs"].get("body")
        if body is None:
            raise TypeError("this chord has no body yet: chord(header)(body)")
        calls = calls_of(signature, call, errbacks_on_headers=settings.TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER)
        laid = yield from self.lay(header, calls[0], Place(place.after, place.others, feeds=FEEDS))
        return (yield from self.lay(body, calls[1], place._replace(after=laid, others=())))

    def group(self, signature: Data, call: Call, place: Place) -> Laying:
        """Lay members that all wait for the same."""
        options = merged_for_members(signature, call).options
        if options.get("link"):
            raise TypeError("a group takes no callbacks: what is to get its values is a chord's body, group | task")
        if (before := place.after) is not None and before.several and before.ids:
            # From each to each there would be as many edges as the members of one times those of the other.
            gathered = yield from self.gather(before, Place(feeds=FEEDS), link_error=options.get("link_error"))
            place = place._replace(after=gathered._replace(handle=before.handle, hands=before.hands))
        group_id = canonical(options.get("task_id") or uuid7())
        feeds = FEEDS if place.as_one or place.feeds else FEEDS_NOBODY
        here = Place(place.after, place.others, group_id, as_one=True, feeds=feeds)
        handles: list[Any] = []
        like = yield from self._members(signature, call, here, handles)
        if like is None and (place.as_one or place.inputs != NO_EDGES):
            # Nobody is there to wait, or to be waited for.
            return (yield from self.lay(plain(GATHER, ([],), {}, {}, immutable=True), place=place))
        whole = GroupResult(group_id, handles, parent=before and before.handle)
        laid = Laid(whole, [each.id for each in handles], like, several=True)
        if not place.as_one:
            return laid
        return (yield from self.gather(laid, place._replace(others=()), task_id=options.get("gather_id")))

    def _members(
        self, group: Data, call: Call, place: Place, handles: list[Any]
    ) -> Generator[NewMessage, None, NewMessage | None]:
        """Lay the members of a group, and those of groups in it as if they were its own; return the last message."""
        args, kwargs, options = merged_for_members(group, call)
        call = Call(args, kwargs, {name: value for name, value in options.items() if name not in OF_THE_GROUP})
        limit, begun, like = group["kwargs"].get("limit"), len(handles), None
        if limit:
            place = place._replace(feeds=FEEDS)
        for member in self.read(group):
            here = place
            if limit and len(handles) - begun >= limit:
                here = place._replace(others=((handles[-limit].id, END),))
            if kind_of(member) in (signatures.GROUP, signatures.CHUNKS):
                inner = group_of_chunks(member) if kind_of(member) == signatures.CHUNKS else member
                like = (yield from self._members(inner, call, here, handles)) or like
            elif laid := (yield from self.lay(member, call, here)):
                handles.append(laid.handle)
                like = laid.like
        return like

    def gather(self, laid: Laid, place: Place, **options: Any) -> Generator[NewMessage, None, Laid]:
        """Lay a message whose value is the list of those of several, for whoever is to have it in one piece."""
        if laid.like is not None:
            options |= {"queue": laid.like.queue, "priority": laid.like.priority}
        return self.task(plain(GATHER, (), {}, options), NOTHING_MORE, place._replace(after=laid._replace(hands=True)))

    def handle_of(self, message: NewMessage, options: Options, parent: Node | None) -> AsyncResult:
        """Make the handle of a message that was laid."""
        return handle_of(message, registry.find(message.task), options, parent)

    def steps(self, chain: Data, call: Call) -> list[Data]:
        """Return the steps of a chain."""
        return steps_of(chain, call, errbacks_on_headers=settings.TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER)

    def read(self, group: Data) -> Iterable[Data]:
        """Return the members of a group."""
        members: Iterable[Data] = group["kwargs"]["tasks"]
        return members

    def map(self, signature: Data, call: Call, place: Place) -> Generator[NewMessage, None, Laid]:
        """Lay the message that runs a task for each item, in the queue in which the task itself would be."""
        name, options = signature["kwargs"]["task"]["task"], dict(signature["options"])
        options |= standing_of(name, options)
        kwargs, kept = {"task": name, "it": signature["kwargs"]["it"]}, {}
        if (mapped := registry.find(name)) is not None:
            options.setdefault("acks_late", mapped.acks_late)
            if mapped.sensitive:
                kept["sensitive"] = True
        return self.task({**signature, "kwargs": kwargs, "options": options}, call, place, kept)
