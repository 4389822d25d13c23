"""Signatures that run one task for many items (CANV-11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from djtasks.domain.signatures import CHUNKS, MAP, STARMAP, XMAP, XSTARMAP, Stream, group_of_chunks, plain
from djtasks.tasks import registry
from djtasks.tasks.canvas.compositions import Canvas, group
from djtasks.tasks.canvas.signature import Signature, signature
from djtasks.tasks.masking import MASK


class xmap(Canvas, kind=XMAP):
    """One message that runs the task for each item, one after the other, and returns the list of their values."""

    MEMBERS = ("task",)
    __slots__ = ()
    # Of a task of djtasks' own, which its message is for.
    NAME = MAP

    def __init__(self, task: Any, it: Iterable[Any], **options: Any) -> None:
        kwargs = {"task": signature(task), "it": list(it)}
        data = plain(self.NAME, (), kwargs, options, immutable=True)
        dict.__init__(self, self._own({**data, "subtask_type": type(self).__name__}))

    __call__ = Signature.__call__

    def __repr__(self) -> str:
        return f"[{self._task_name}(x) for x in {self._shown_items()}]"

    @property
    def _task_name(self) -> str:
        return str(self.kwargs["task"]["task"])

    def _shown_items(self) -> str:
        mapped = registry.find(self._task_name)
        return MASK if mapped is not None and mapped.sensitive else f"{self.kwargs['it']!r:.100}"


class xstarmap(xmap, kind=XSTARMAP):
    """``xmap`` of items that are lists of arguments."""

    __slots__ = ()
    NAME = STARMAP

    def __repr__(self) -> str:
        return f"[{self._task_name}(*x) for x in {self._shown_items()}]"


class chunks(Canvas, kind=CHUNKS):
    """A group of messages, each of which runs the task for ``n`` of the items, which are lists of arguments.

    A generator is read while they are sent, and one of more than 10,000 items can be sent once.
    """

    MEMBERS = ("task",)
    __slots__ = ()

    def __init__(self, task: Any, it: Iterable[Any], n: int, **options: Any) -> None:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"chunks have a number of items from 1, not {n!r:.80}")
        kwargs = {"task": signature(task), "it": Stream(it) if iter(it) is it else list(it), "n": n}
        data = plain("djtasks.chunks", (), kwargs, options, immutable=True)
        dict.__init__(self, self._own({**data, "subtask_type": CHUNKS}))

    def __call__(self, **options: Any) -> Any:
        """Send it."""
        return self.apply_async(**options)

    def __repr__(self) -> str:
        return f"chunks of {self.kwargs['n']} of {self.kwargs['task']['task']}"

    def group(self) -> Canvas:
        """Return the group that it stands for."""
        return group(group_of_chunks(self)["kwargs"]["tasks"], **self.options)

    @classmethod
    def apply_chunks(cls, task: Any, it: Iterable[Any], n: int) -> Any:
        """Send a task in chunks."""
        return cls(task, it, n)()
