"""In which layer each stands: behind the last of those before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import partial
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def in_layers(nodes: Sequence[Node], links: Collection[tuple[Node, Node]]) -> list[list[Node]]:
    """Put nodes into layers by the longest path that leads to each, and beside those from which it comes."""
    layers: dict[int, list[Node]] = defaultdict(list)
    for node, depth in _depths(nodes, links).items():
        layers[depth].append(node)
    before: dict[Node, list[Node]] = defaultdict(list)
    for upstream, node in links:
        before[node].append(upstream)
    places: dict[Node, float] = {}
    ordered: list[list[Node]] = []
    for depth in sorted(layers):
        layer = sorted(layers[depth], key=partial(_middle, before, places))
        places.update({node: place - len(layer) / 2 for place, node in enumerate(layer)})
        ordered.append(layer)
    return ordered


def _middle(before: Mapping[Node, list[Node]], places: Mapping[Node, float], node: Node) -> float:
    """Say where those stand in the middle that come before a node."""
    found = [places[each] for each in before[node] if each in places]
    return sum(found) / (len(found) or 1)


def _depths(nodes: Sequence[Node], links: Collection[tuple[Node, Node]]) -> dict[Node, int]:
    """Say how many there are at most before each; whoever chooses ids may make a task its own ancestor."""
    depths = dict.fromkeys(nodes, 0)
    deepest = len(nodes) - 1
    changed = True
    while changed:
        changed = False
        for upstream, node in links:
            if depths[node] <= depths[upstream] < deepest:
                depths[node] = depths[upstream] + 1
                changed = True
    return depths
