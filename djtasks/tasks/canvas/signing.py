"""How a task makes signatures of itself, and what its body may do with those of others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from djtasks.tasks.canvas.maps import chunks, xmap, xstarmap
from djtasks.tasks.canvas.replacing import add_to_chord, replacement
from djtasks.tasks.canvas.signature import Signature
from djtasks.tasks.context import Request


class Signing:
    """A task, as far as its calls can be passed around instead of being made (CANV-1)."""

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """Make a signature with these arguments."""
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Make a signature with these arguments and no others: what ran before it is not handed over."""
        return self.signature(args, kwargs, immutable=True)

    def signature(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Signature:
        """Make a signature of what ``apply_async`` takes."""
        return Signature(self, args, kwargs, options, **more)  # type: ignore[arg-type]

    subtask = signature

    def map(self, it: Iterable[Any]) -> xmap:
        """Make a signature that runs the task for each item, all in one message (CANV-11)."""
        return xmap(self.s(), it)

    def starmap(self, it: Iterable[Any]) -> xstarmap:
        """Make a signature that runs the task for each list of arguments, all in one message (CANV-11)."""
        return xstarmap(self.s(), it)

    def chunks(self, it: Iterable[Any], n: int) -> chunks:
        """Make a signature that runs the task for the lists of arguments, ``n`` of them in a message (CANV-11)."""
        return chunks(self.s(), it, n)

    # Inside the body

    @property
    @abstractmethod
    def request(self) -> Request:
        """The run that is going on."""

    def replace(self, signature: Mapping[str, Any]) -> Any:
        """Let the signature take the place of this run, which ends at once (CANV-12).

        It takes over the id, and all who wait for this task wait for it: the next step of the chain, the body of the
        chord, callbacks and errbacks. A group hands on the list of its values. Raises ImproperlyConfigured for an empty
        chain and for the member of another group; where the task runs eagerly it returns the value.
        """
        if self.request.is_eager:
            return Signature.from_dict(signature).apply().get()
        raise replacement(self.request, signature)

    def add_to_chord(self, signature: Mapping[str, Any]) -> Any:
        """Add a member to the header in which this task runs; the body waits for it as well (CANV-13).

        Returns its handle. Raises ValueError where the task runs in no chord. What is added by a run that is later
        delivered again is added again.
        """
        return add_to_chord(self.request, signature)

    def add_trail(self, result: Any) -> Any:
        """Return the result: what a body sends is among its ``children`` anyway, for its row says so."""
        return result
