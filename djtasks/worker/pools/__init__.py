"""The pools by their names."""

from __future__ import annotations

from djtasks.domain.pools import pool_named
from djtasks.worker.execution import Holder
from djtasks.worker.pools.base import Pool
from djtasks.worker.pools.children import ChildPool
from djtasks.worker.pools.process import Share
from djtasks.worker.pools.solo import SoloPool


def make_pool(
    name: str, slots: int, holder: Holder, *, max_tasks_per_child: int | None, max_memory_per_child: int | None
) -> Pool:
    """Make the pool of this name."""
    kind = pool_named(name)
    if kind == "solo":
        return SoloPool(1, holder)
    return ChildPool(slots, holder, kind, Share(max_tasks_per_child, max_memory_per_child))
