"""A task with arguments and options that is not sent yet (CANV-1); what is composed of them stands in ``canvas``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from djtasks.conf import settings
from djtasks.domain.signatures import Call, joined, merged
from djtasks.tasks import calling, registry, stamping
from djtasks.tasks.canvas.draft import Args, Draft, Kwargs, as_signature
from djtasks.tasks.canvas.freezing import freeze
from djtasks.tasks.preparing import containers

if TYPE_CHECKING:
    from djtasks.tasks.stamping import StampingVisitor


class Signature(Draft, kind=None):
    """A call of a task that can be passed around, changed, composed with others, and sent."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body of the task here and now."""
        call = merged(self, Call(args, kwargs))
        return self.type(*call.args, **call.kwargs)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send it with these arguments before its own."""
        return self.apply_async(args, kwargs)

    def apply_async(self, args: Args = None, kwargs: Kwargs = None, **options: Any) -> Any:
        """Send it with these arguments before its own and these options over its own; return the handle."""
        call = merged(self, Call(*containers(self.task, args, kwargs), options))
        if (task := registry.find(self.task)) is None:
            return calling.send_task(self.task, call.args, call.kwargs, **call.options)
        return task.apply_async(call.args, call.kwargs, **call.options)

    def apply(self, args: Args = None, kwargs: Kwargs = None, **options: Any) -> Any:
        """Run it here and now as a worker would, with all that follows (MON-3)."""
        call = merged(self, Call(*containers(self.task, args, kwargs), options))
        return self.type.apply(call.args, call.kwargs, **call.options)

    async def adelay(self, *args: Any, **kwargs: Any) -> Any:
        """``delay`` from a coroutine."""
        return await self.aapply_async(args, kwargs)

    async def aapply_async(self, args: Args = None, kwargs: Kwargs = None, **options: Any) -> Any:
        """``apply_async`` from a coroutine."""
        return await sync_to_async(self.apply_async)(args, kwargs, **options)

    def __invert__(self) -> Any:
        """Send it and wait for its value."""
        return self.apply_async().get()

    def __or__(self, other: Any) -> Any:
        """Have the other follow this one (CANV-4, CANV-6); both stay as they are."""
        if not isinstance(other, Mapping):
            return NotImplemented
        on_headers = settings.TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER
        return self.from_dict(joined(self, as_signature(other), errbacks_on_headers=on_headers))

    def __ror__(self, other: Any) -> Any:
        return as_signature(other) | self if isinstance(other, Mapping) else NotImplemented

    # Else it would be the dict's own, which changes it.
    __ior__ = __or__

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        root_id: str | None = None,
        parent_id: str | None = None,
    ) -> Any:
        """Choose the ids now that it and its members will have; return the handle that sending it will return."""
        lineage = {"group_id": group_id, "root_id": root_id, "parent_id": parent_id}
        return freeze(self, _id, {name: value for name, value in lineage.items() if value is not None})

    def stamp(self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any) -> Any:
        """Stamp it, its members and their callbacks with headers, and with those that the visitor names (CANV-14).

        A stamp that is there already is replaced, or with ``append_stamps`` becomes a list of both.
        """
        self.items()
        stamping.stamp(self, visitor, headers, append=append_stamps)
        return self


def signature(task: Any, args: Args = None, kwargs: Kwargs = None, options: Kwargs = None, **more: Any) -> Any:
    """Make a signature of a task or its name, of the data of one, or a copy of another one."""
    if isinstance(task, Signature):
        return task.clone()
    if isinstance(task, Mapping):
        return Signature.from_dict(task)
    return Signature(task, args, kwargs, options, **more)
