"""The pools by their names on the command line."""

from __future__ import annotations

from djtasks.exceptions import ImproperlyConfigured
from djtasks.worker.execution import Holder
from djtasks.worker.pools.base import Pool
from djtasks.worker.pools.children import ChildPool
from djtasks.worker.pools.solo import SoloPool

ALIASES = {"prefork": "processes"}
POOLS = ("processes", "threads", "solo")


def pool_named(name: str) -> str:
    """Return a pool's own name; raise ImproperlyConfigured for one that does not exist."""
    own = ALIASES.get(name, name)
    if own not in POOLS:
        raise ImproperlyConfigured(f"there is no pool {name!r}; there are {', '.join(POOLS)} (and prefork)")
    return own


def make_pool(
    name: str, slots: int, holder: Holder, *, max_tasks_per_child: int | None, max_memory_per_child: int | None
) -> Pool:
    """Make the pool of this name."""
    if pool_named(name) == "solo":
        return SoloPool(1, holder)
    return ChildPool(
        slots,
        holder,
        slots_per_child=slots if pool_named(name) == "threads" else 1,
        max_tasks_per_child=max_tasks_per_child,
        max_memory_per_child=max_memory_per_child,
    )
