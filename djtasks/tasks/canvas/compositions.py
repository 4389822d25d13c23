"""Signatures of many tasks: chain, group and chord (CANV-4 to CANV-8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from djtasks.domain.signatures import CHAIN, CHORD, GROUP, Stream, chain_of, chord_of, copied, group_of, kind_of
from djtasks.tasks import calling
from djtasks.tasks.canvas.draft import Args, Kwargs, as_signature
from djtasks.tasks.canvas.signature import Signature


class Canvas(Signature):
    """What is composed of signatures: to call it is to send it."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send it with these arguments before those of its first tasks."""
        return self.apply_async(args, kwargs)

    def apply_async(self, args: Args = None, kwargs: Kwargs = None, **options: Any) -> Any:
        """Insert all of its messages at once; return the handle of the last, or of a group of last ones."""
        return calling.send_signature(self, args, kwargs, options)

    def apply(self, args: Args = None, kwargs: Kwargs = None, **options: Any) -> Any:
        """Run all of it here and now, with the outcome that it would have in workers (MON-3)."""
        return calling.apply_signature(self, args, kwargs, options)

    @property
    def tasks(self) -> list[Any]:
        """Its members; those that a generator yields are all read now."""
        members: list[Any] = as_signature(list(self.kwargs["tasks"]))
        self.kwargs["tasks"] = members
        return members

    @tasks.setter
    def tasks(self, members: Iterable[Mapping[str, Any]]) -> None:
        self.kwargs["tasks"] = as_signature(list(members))


class chain(Canvas, kind=CHAIN):
    """Each task runs when the one before it has succeeded, and gets its value as the first argument (CANV-4).

    Options of the whole are the first task's, but for its id and its callbacks, which are the last one's, and its
    errbacks: of those each task has its own.
    """

    MEMBERS = ("tasks",)
    __slots__ = ()

    def __init__(self, *tasks: Any, **options: Any) -> None:
        # Copies, since a step may be in several chains, or twice in one.
        steps = [copied(as_signature(each)) for each in members_of(tasks)]
        dict.__init__(self, self._own(chain_of(steps, options)))

    def __repr__(self) -> str:
        steps = self.tasks
        return shortened(" | ".join(map(repr, steps)), steps[0].task) if steps else "<chain: empty>"


class group(Canvas, kind=GROUP):
    """Tasks that run side by side (CANV-5); with ``limit`` only so many at a time.

    A generator is read while the group is sent; one of more than 10,000 members can be sent once. Options of the
    whole are those of every member, but for ``task_id``, which is the id of the group.
    """

    MEMBERS = ("tasks",)
    __slots__ = ()

    def __init__(self, *tasks: Any, limit: int | None = None, **options: Any) -> None:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ValueError(f"limit is how many members run at a time, a number from 1, not {limit!r:.80}")
        members = members_of(tasks)
        is_read_once = iter(members) is members
        # Copies, since what is done to the members is done to this group's alone.
        read: Any = Stream(map(as_signature, members)) if is_read_once else [copied(as_signature(m)) for m in members]
        data = group_of(read, options)
        dict.__init__(self, self._own(data))
        if limit is not None:
            self.kwargs["limit"] = limit

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Send it with these arguments before those of every member."""
        return self.apply_async(args, **options)

    def __len__(self) -> int:
        return len(self.tasks)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        members = self.kwargs["tasks"]
        if isinstance(members, Stream):
            return f"group({members!r})"
        return shortened(f"group({members!r})", members[0]["task"]) if members else "group(<empty>)"

    def link(self, callback: Mapping[str, Any]) -> Any:
        """Refuse: it has no single value."""
        raise TypeError("a group takes no callbacks: what is to get its values is a chord's body, group | task")

    def set_immutable(self, immutable: bool) -> None:
        """Say of every member whether it takes what others hand over."""
        for member in self.tasks:
            member.set_immutable(immutable)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> group:
        """Let each member wait ``step`` seconds longer than the one before it, from ``start`` to ``stop`` at most."""
        for member, seconds in zip(self.tasks, count(start, step), strict=False):
            member.set(countdown=seconds if stop is None else min(seconds, stop))
        return self


class chord(Canvas, kind=CHORD):
    """A header, which is a group, and a body that gets the list of its values (CANV-7, CANV-8).

    Options of the whole are those of both, but for its id and its callbacks, which are the body's, and for a delay,
    which is the header's. Its errbacks are the body's, and the header's if TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER says so.
    """

    MEMBERS = ("header", "body")
    __slots__ = ()

    def __init__(self, header: Any, body: Any = None, **options: Any) -> None:
        own_header = copied(dict(header)) if isinstance(header, Mapping) else header
        own_body = None if body is None else copied(as_signature(body))
        dict.__init__(self, self._own(chord_of(own_header, own_body, options)))

    @classmethod
    def _own(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        header = data["kwargs"]["header"]
        if not isinstance(header, Mapping) or kind_of(header) != GROUP:
            header = group(header)
        return super()._own({**data, "kwargs": {**data["kwargs"], "header": header}})

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Send it, with this body if it had none."""
        whole = self if body is None else self.from_dict({**self, "kwargs": {**self.kwargs, "body": body}})
        return whole.apply_async(**options)

    def __repr__(self) -> str:
        if self.body is None:
            return f"<chord without body: {self.header!r}>"
        if kind_of(self.body) is None:
            return shortened(f"%{self.body.reprcall(self.header.kwargs['tasks'])}", self.body.task)
        return f"%({self.header!r} | {self.body!r})"

    @property
    def header(self) -> group:
        """Its header."""
        header: group = as_signature(self.kwargs["header"])
        self.kwargs["header"] = header
        return header

    @property
    def tasks(self) -> list[Any]:
        """The members of its header."""
        return self.header.tasks

    @tasks.setter
    def tasks(self, members: Any) -> None:
        self.kwargs["header"] = members if isinstance(members, group) else group(members)

    @property
    def body(self) -> Any:
        """Its body, or None."""
        body = self.kwargs["body"] = as_signature(self.kwargs.get("body"))
        return body

    @body.setter
    def body(self, body: Mapping[str, Any] | None) -> None:
        self.kwargs["body"] = as_signature(body)

    def link(self, callback: Mapping[str, Any]) -> Any:
        """Have the callback run with the value of the body."""
        return self.body.link(callback)

    def set_immutable(self, immutable: bool) -> None:
        """Say of the header, and not of the body, whether it takes what others hand over."""
        self.header.set_immutable(immutable)


def members_of(given: tuple[Any, ...]) -> Iterable[Any]:
    """Return what was given one by one, or all of it as an iterable."""
    if len(given) != 1 or isinstance(given[0], Mapping):
        return given
    members: Iterable[Any] = given[0]
    return members


def shortened(text: str, task: str) -> str:
    """Name the module of a task once only."""
    module = f"{task.rpartition('.')[0]}."
    head, name, rest = text.partition(module)
    return f"{head}{name}{rest.replace(module, '')}"
