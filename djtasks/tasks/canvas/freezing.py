"""Ids that are chosen before anything is sent: a signature is laid out to keep them, and makes no messages (CANV-1)."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from djtasks.domain.identifiers import new_id
from djtasks.domain.messages import NewMessage
from djtasks.domain.signatures import Call, Data, Stream, copied, merged, merged_for_members
from djtasks.tasks.canvas.laying import Laying, Layout
from djtasks.tasks.canvas.placing import Laid, Place


def freeze(signature: Data, task_id: str | None, lineage: Data) -> Any:
    """Give a signature and its members their ids, unless they have some; return the handle that sending it returns.

    Raises TypeError for chunks, whose members are made when they are sent.
    """
    signature["options"].update(lineage)
    if task_id is not None:
        signature["options"].setdefault("task_id", task_id)
    layout = Freezing()
    for _ in layout.messages(signature):
        pass
    return layout.handle


class Freezing(Layout):
    """Writes ids into the signatures that it lays; those in canvases become the canvas's own, and chains flat."""

    def task(
        self, signature: Data, call: Call, place: Place, kept: Data | None = None
    ) -> Generator[NewMessage, None, Laid]:
        """Give a task its id."""
        yield from ()
        options = merged(signature, call).options
        stub = NewMessage(options.get("task_id") or new_id(), signature["task"])
        signature["options"]["task_id"] = stub.id
        parent = place.after and place.after.handle
        return Laid(self.handle_of(stub, options, parent), (stub.id,), stub)

    map = task

    def group(self, signature: Data, call: Call, place: Place) -> Laying:
        """Give a group its id, and another one to the message that stands for it."""
        options = merged_for_members(signature, call).options
        signature["options"]["task_id"] = options.get("task_id") or new_id()
        if place.as_one:
            signature["options"].setdefault("gather_id", new_id())
        return super().group(signature, call, place)

    def chord(self, signature: Data, call: Call, place: Place) -> Laying:
        """Give ids to a header and a body of this chord alone."""
        kwargs = signature["kwargs"]
        kwargs.update({name: copied(kwargs[name]) for name in ("header", "body") if kwargs.get(name) is not None})
        return super().chord(signature, call, place)

    def steps(self, chain: Data, call: Call) -> list[Data]:
        """Have the chain consist of the steps that it would have if it were sent."""
        steps = super().steps(chain, call)
        chain.update({"args": (), "kwargs": {"tasks": steps}})
        return steps

    def read(self, group: Data) -> Iterable[Data]:
        """Have the group consist of members of this group alone."""
        members = group["kwargs"]["tasks"]
        if not isinstance(members, list | Stream):
            raise TypeError("chunks have no members to freeze: freeze the group, task.chunks(items, n).group()")
        members = group["kwargs"]["tasks"] = [copied(member) for member in members]
        return members
