"""How many slots a pool has, by what there is to do (WORK-5)."""

from __future__ import annotations

import logging

from djtasks.domain.pools import check_autoscale
from djtasks.worker.pools.base import Pool

logger = logging.getLogger("djtasks.worker")
PATIENCE_SECONDS = 30.0


class Autoscaler:
    """Doubles the slots while all are busy and more is waiting, and gives them up when they have been idle for long."""

    def __init__(self, pool: Pool, most: int, least: int, *, patience: float = PATIENCE_SECONDS) -> None:
        self.pool = pool
        self.most = most
        self.least = least
        self.patience = patience
        # Whether the last time as many messages were received as were asked for.
        self.saturated = False
        self._needed_at = float("-inf")

    def change(self, most: int, least: int) -> None:
        """Have other bounds from now on; raise TypeError or ValueError for such as cannot be."""
        check_autoscale((most, least))
        self.most, self.least = most, least
        self._resize(min(most, max(least, self.pool.slots)))

    def look(self, now: float) -> bool:
        """Grow or shrink, if it is time for that; say whether it was."""
        if self.pool.is_starting():
            return False
        slots, idle = self.pool.slots, self.pool.idle()
        if not idle and self.saturated:
            self._needed_at = now
            return self._resize(min(self.most, slots * 2))
        if idle and now - self._needed_at >= self.patience:
            return self._resize(max(self.least, slots - idle))
        return False

    def _resize(self, slots: int) -> bool:
        if slots == self.pool.slots:
            return False
        logger.info("the pool has %d slots now, it had %d", slots, self.pool.slots)
        self.pool.resize(slots)
        return True
