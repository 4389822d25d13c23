"""Many things, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to ``size`` things, in their order; they are read no further ahead than that."""
    rest = iter(things)
    while batch := list(islice(rest, size)):
        yield batch
