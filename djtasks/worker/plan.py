"""What a worker was asked to be."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

from djtasks.worker.execution import Holder
from djtasks.worker.pools import make_pool
from djtasks.worker.pools.base import Pool

Queues = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The command line over the settings.

    ``pool_for`` names queues with pools of their own, and how many slots those have; ``autoscale`` the most and the
    least slots of the main one.
    """

    hostname: str
    pool: str
    slots: int
    queues: Queues | None = None
    excluded: Queues = ()
    burst: bool = False
    grace: float = 30.0
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    autoscale: tuple[int, int] | None = None
    pool_for: tuple[tuple[str, str, int], ...] = ()

    @property
    def all_slots(self) -> int:
        """How many bodies may run at a time, in all pools."""
        return self.slots + sum(slots for _, _, slots in self.pool_for)

    @property
    def main_queues(self) -> Queues | None:
        """The queues of the main pool; None for every queue but the excluded."""
        own = self._own_queues()
        return self.queues and tuple(queue for queue in self.queues if queue not in own)

    @property
    def main_excluded(self) -> Queues:
        """The queues that the main pool does not serve, where it serves every other."""
        return self.excluded if self.queues else (*self.excluded, *self._own_queues())

    def _own_queues(self) -> Queues:
        return tuple(queue for queue, _, _ in self.pool_for)

    def row(self, worker_id: str) -> dict[str, Any]:
        """What its row tells of the worker."""
        return {
            "id": worker_id,
            "name": self.hostname,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": self.pool,
            "slots": self.all_slots,
        }

    def make_pool(self, name: str, slots: int, holder: Holder) -> Pool:
        """Make one of its pools."""
        return make_pool(
            name,
            slots,
            holder,
            max_tasks_per_child=self.max_tasks_per_child,
            max_memory_per_child=self.max_memory_per_child,
        )
