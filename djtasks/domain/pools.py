"""The pools by their names on the command line and in the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from djtasks.domain.identifiers import check_queue_name
from djtasks.exceptions import ImproperlyConfigured

ALIASES = {"prefork": "processes", "asyncio": "eventloop"}
POOLS = ("processes", "threads", "eventloop", "solo")


def pool_named(name: str) -> str:
    """Return a pool's own name; raise ImproperlyConfigured for one that does not exist."""
    own = ALIASES.get(name, name)
    if own not in POOLS:
        raise ImproperlyConfigured(f"there is no pool {name!r}; there are {', '.join((*POOLS, *ALIASES))}")
    return own


def pool_and_slots(text: str) -> tuple[str, int]:
    """Read ``threads:8``; raise ValueError for what is no pool with its slots."""
    name, colon, slots = text.partition(":")
    try:
        pool = pool_named(name)
    except ImproperlyConfigured as error:
        raise ValueError(str(error)) from None
    if pool == "solo":
        raise ValueError("the solo pool cannot run beside another; give the queue a pool with processes:1")
    if not colon or not slots.isdecimal() or int(slots) < 1:
        raise ValueError(f"{text!r} does not say how many slots, as threads:8 does")
    return pool, int(slots)


def check_pool_for(value: Any) -> None:
    """Raise for what is no dict of queues and their pools."""
    if not isinstance(value, Mapping):
        raise TypeError('expected a dict like {"media": "threads:8"}')
    for queue, text in value.items():
        check_queue_name(queue)
        if not isinstance(text, str):
            raise TypeError(f'the pool of {queue!r} is a text like "threads:8"')
        pool_and_slots(text)


def check_autoscale(value: Any) -> None:
    """Raise for what is neither None nor the most and the least slots."""
    if value is None:
        return
    if not isinstance(value, (list, tuple)) or len(value) != 2 or any(type(each) is not int for each in value):
        raise TypeError("expected the most and the least slots, like (10, 2), or None")
    most, least = value
    if not 1 <= least <= most:
        raise ValueError(f"the most slots ({most}) are at least as many as the least ({least}), and those at least 1")
