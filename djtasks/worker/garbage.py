"""What a worker has loaded is there for good: the garbage collector need not look at it again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def freeze() -> None:
    """Take all that is loaded by now out of the collector's sight; what tasks make from now on stays in it.

    Else each full collection, every few ten thousand short tasks, walks through Django, the project, and all that its
    tasks import.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def frozen() -> Iterator[None]:
    """``freeze`` for as long as this lasts."""
    freeze()
    try:
        yield
    finally:
        gc.unfreeze()
