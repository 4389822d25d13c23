"""Which queues a worker serves, and how that changes while it runs (ROUTE-3)."""

from __future__ import annotations

from collections.abc import Iterable


class Subscription:
    """The queues that are named, or every queue but the excluded."""

    def __init__(self, queues: Iterable[str] | None = None, excluded: Iterable[str] = ()) -> None:
        self.queues = None if queues is None else tuple(queues)
        self.excluded = tuple(excluded)
        self.paused: tuple[str, ...] = ()

    def serves(self, queue: str) -> bool:
        """Say whether it takes messages of this queue."""
        return queue not in self.excluded and (self.queues is None or queue in self.queues)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The queues from which nothing is received for now."""
        return (*self.excluded, *self.paused)

    def pause(self, queues: tuple[str, ...]) -> bool:
        """Let these rest, whether they are served or not, and no others; say whether that is a change."""
        changed, self.paused = queues != self.paused, queues
        return changed

    def add(self, queue: str) -> bool:
        """Serve a queue from now on; say whether that is a change."""
        if self.serves(queue):
            return False
        if self.queues is None:
            self.excluded = tuple(name for name in self.excluded if name != queue)
        else:
            self.queues = (*self.queues, queue)
        return True

    def remove(self, queue: str) -> bool:
        """Serve a queue no longer; say whether that is a change."""
        if not self.serves(queue):
            return False
        if self.queues is None:
            self.excluded = (*self.excluded, queue)
        else:
            self.queues = tuple(name for name in self.queues if name != queue)
        return True

    def columns(self) -> dict[str, list[str] | None]:
        """Say it as the worker's row does."""
        return {"queues": None if self.queues is None else list(self.queues), "excluded": list(self.excluded)}
