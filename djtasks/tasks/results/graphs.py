"""Trees of results: a task, those that were sent in it or came after it, theirs, and so on (RES-11)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from graphlib import TopologicalSorter
from typing import Any, TextIO

from djtasks.exceptions import IncompleteStream
from djtasks.tasks.results.nodes import Node
from djtasks.tasks.results.record import load, states_of

Level = list[tuple["Tree | None", "Tree"]]


class Tree(Node):
    """A task or a group, with all that came of it."""

    @staticmethod
    @abstractmethod
    def _families(nodes: Sequence[Tree]) -> Iterator[tuple[Tree, Sequence[Tree]]]:
        """Look for the children of all of these."""

    @property
    def children(self) -> Sequence[Tree]:
        """What was sent in it and what comes after it, oldest first; of a group, its members."""
        ((_, children),) = self._families([self])
        return children

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Tree | None, Tree]]:
        """Walk the tree level by level; yield each with its parent.

        Raises IncompleteStream where something has not ended, whose children are therefore not known; with
        ``intermediate`` these are left out.
        """
        for level in self._levels(intermediate):
            yield from level

    def collect(self, intermediate: bool = False, **how: Any) -> Iterator[tuple[Tree, Any]]:
        """Walk the tree and yield each with its value; ``how`` is passed to ``get``.

        Raises IncompleteStream at what has not ended; with ``intermediate`` its value is None. Where a ``timeout`` is
        given, be it None, each is waited for instead, as Celery does.
        """
        for level in self._levels(intermediate):
            load(leaf for _, node in level for leaf in node._leaves())
            for _, node in level:
                if "timeout" in how or node.ready():
                    yield node, node.get(**how)
                elif intermediate:
                    yield node, None
                else:
                    raise _incomplete(node)

    def get_leaf(self) -> Any:
        """Wait for the whole tree, and return the value of what comes last."""
        value = None
        for _, last in self.collect(timeout=None):
            value = last
        return value

    @property
    def graph(self) -> DependencyGraph:
        """The tree as a graph."""
        return self.build_graph()

    def build_graph(self, intermediate: bool = False, formatter: Callable[[Any], str] | None = None) -> DependencyGraph:
        """Make a graph of the tree; ``formatter`` makes the labels of what stands in it."""
        graph = DependencyGraph(formatter)
        for parent, node in self.iterdeps(intermediate):
            graph.add_arc(node)
            if parent is not None:
                graph.add_edge(parent, node)
        return graph

    def _levels(self, intermediate: bool) -> Iterator[Level]:
        level: Level = [(None, self)]
        # Whoever chooses ids may make a task its own ancestor.
        seen = {self.id}
        while level:
            yield level
            nodes = [node for _, node in level]
            ends = states_of(leaf for node in nodes for leaf in node._leaves())
            ready = []
            for node in nodes:
                if all(leaf.id in ends for leaf in node._leaves()):
                    ready.append(node)
                elif not intermediate:
                    raise _incomplete(node)
            level = []
            for node, children in self._families(ready):
                level += [(node, child) for child in children if child.id not in seen]
                seen.update(child.id for child in children)


class DependencyGraph:
    """Who came of whom; what stands in it is hashable."""

    def __init__(self, formatter: Callable[[Any], str] | None = None) -> None:
        self._formatter = formatter or str
        self._adjacent: dict[Any, list[Any]] = {}

    def add_arc(self, node: Any) -> None:
        """Take in something that may stand alone."""
        self._adjacent.setdefault(node, [])

    def add_edge(self, node: Any, other: Any) -> None:
        """Say that the one led to the other."""
        self.add_arc(other)
        self._adjacent.setdefault(node, []).append(other)

    def edges(self) -> list[tuple[Any, Any]]:
        """Return the pairs of those of which one led to the other."""
        return [(node, other) for node, others in self._adjacent.items() for other in others]

    def topsort(self) -> list[Any]:
        """Return all in an order in which each stands behind those that came of it."""
        return list(TopologicalSorter(self._adjacent).static_order())

    def to_dot(self, file: TextIO) -> None:
        """Write the graph for Graphviz."""
        file.write("digraph {\n")
        for node in self._adjacent:
            file.write(f"    {self._name(node)} [label={_quoted(self._formatter(node))}];\n")
        for node, other in self.edges():
            file.write(f"    {self._name(node)} -> {self._name(other)};\n")
        file.write("}\n")

    def _name(self, node: Any) -> str:
        return _quoted(getattr(node, "id", node))

    def __getitem__(self, node: Any) -> list[Any]:
        return self._adjacent[node]

    def __contains__(self, node: object) -> bool:
        return node in self._adjacent

    def __iter__(self) -> Iterator[Any]:
        return iter(self._adjacent)

    def __len__(self) -> int:
        return len(self._adjacent)


def _quoted(text: Any) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _incomplete(node: Node) -> IncompleteStream:
    return IncompleteStream(f"{node.id} has not ended yet")
