"""What tasks and groups have in common: they come after others, and may be forgotten and taken up again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from djtasks.broker.patience import patiently
from djtasks.broker.requeue import requeue_workflow
from djtasks.broker.vendors import Vendor, shared_vendor
from djtasks.domain.batches import batches
from djtasks.domain.identifiers import as_uuid
from djtasks.models import Dependency, Result
from djtasks.tasks.results.record import BATCH, rows_of, unload

if TYPE_CHECKING:
    from djtasks.tasks.results.awaited import Awaited


class Node(ABC):
    """A task or a group."""

    id: str
    _parent: Node | None = None

    @abstractmethod
    def ready(self) -> bool:
        """Say whether it has ended."""

    @abstractmethod
    def get(self, timeout: float | None = None, propagate: bool = True) -> Any:
        """Wait for the value."""

    @abstractmethod
    def _leaves(self) -> Sequence[Awaited]:
        """Name the tasks of which it consists."""

    @abstractmethod
    def _found_parent(self) -> Node | None:
        """Look for the parent in the rows."""

    # Parents

    @property
    def parent(self) -> Node | None:
        """What came before: a step of a chain, the header of a chord's body, or the task in which this was sent."""
        return self._found_parent() if self._parent is None else self._parent

    @parent.setter
    def parent(self, parent: Node | None) -> None:
        self._parent = parent

    def _given_parents(self) -> Iterator[Node]:
        """Yield the parents that handles were given, without a look into the rows."""
        node = self._parent
        while node is not None:
            yield node
            node = node._parent

    def as_list(self) -> list[str]:
        """Return the id, that of the given parent, and so on."""
        return [node.id for node in (self, *self._given_parents())]

    def as_tuple(self) -> Any:
        """Return what ``result_from_tuple`` makes handles of."""
        told: Any = None
        for node in reversed((self, *self._given_parents())):
            told = (node.id, told), node._members_as_tuples()
        return told

    def _members_as_tuples(self) -> list[Any] | None:
        return None

    # Changing

    def forget(self) -> None:
        """Delete the results, and those of the given parents (RES-10)."""
        forget([self])

    def retry_failed(self) -> int:
        """Run again what has failed of the workflow that leads here, and what was ended because of it, but no more.

        Returns how many these are.
        """
        restarted = requeue_workflow([as_uuid(leaf.id) for leaf in self._leaves() if leaf._stored])
        unload(_with_parents([self]))
        return len(restarted)


def forget(nodes: Iterable[Node]) -> None:
    """Delete the results of all of these, and those of their given parents."""
    vendor, leaves = shared_vendor(), _with_parents(nodes)
    for some in batches(leaves, BATCH):
        patiently(vendor, _forget, vendor, [leaf.id for leaf in some])
    unload(leaves)


def _forget(vendor: Vendor, ids: Sequence[str]) -> None:
    results = rows_of(Result).filter(pk__in=ids)
    with vendor.atomic():
        # What never ran has kept its edges, so that it could be run again.
        rows_of(Dependency).filter(message__in=results.values("pk")).delete()
        results.delete()


def _with_parents(nodes: Iterable[Node]) -> list[Awaited]:
    """Name the tasks of all of these and of their given parents, each once."""
    seen: set[str] = set()
    leaves: dict[str, Awaited] = {}
    for each in nodes:
        for node in (each, *each._given_parents()):
            if node.id in seen:
                break
            seen.add(node.id)
            leaves.update((leaf.id, leaf) for leaf in node._leaves() if leaf._stored)
    return list(leaves.values())
