"""When to reserve, and how many: for free slots, and a little ahead where tasks are short."""

from __future__ import annotations

import time
from collections.abc import Callable

from djtasks.broker.reserve import Positions
from djtasks.conf import settings
from djtasks.domain.messages import Demand, Supply
from djtasks.worker.holdings import Holdings
from djtasks.worker.pace import Pace
from djtasks.worker.pools.base import Pool

Queues = tuple[str, ...]


class Intake:
    """Turns free capacity into demands, and what they gave into the moment of the next one."""

    def __init__(
        self,
        worker_id: str,
        pool: Pool,
        holdings: Holdings,
        *,
        queues: Queues | None = None,
        excluded: Queues = (),
        on_saturation: Callable[[bool], None] = lambda saturated: None,
    ) -> None:
        self.worker_id = worker_id
        self.pool = pool
        self.holdings = holdings
        self.queues = queues
        self.excluded = excluded
        self.pace = Pace(pool.slots, pool.runs_abreast)
        self.drained = False
        self._positions = Positions(settings.POLL_SECONDS)
        self._look_at = 0.0
        self._announced = False
        self._on_saturation = on_saturation

    def look(self) -> None:
        """Ask again at once: something was announced; safe from another thread."""
        self._announced = True

    def ask(self) -> None:
        """Note that a demand is on its way: what is announced from now on, it may not see."""
        self._announced = False

    def forget(self) -> None:
        """Read from the start: what was known of the queues may be wrong."""
        self._positions.forget()

    def demand(self, *, lapsed: bool) -> Demand | None:
        """Return what to reserve now, if anything; a transaction that settles asks for more in any case."""
        limit, begin = self._capacity()
        is_time = self._announced or time.monotonic() >= self._look_at or self.holdings.pending
        if limit <= 0 or not is_time:
            return None
        return Demand(
            worker=self.worker_id,
            limit=limit,
            lease=settings.LEASE_SECONDS,
            queues=self.queues,
            excluded=self.excluded,
            begin=begin,
            lapsed=lapsed,
            marks=self._positions.marks(),
        )

    def _capacity(self) -> tuple[int, bool]:
        """Return how many messages to ask for, and whether early ones may begin at once: each has a slot then."""
        ahead = self.pace.ahead()
        if not ahead:
            return self.pool.idle() - len(self.holdings.waiting), True
        unsettled = len(self.holdings.held) - len(self.holdings.pending)
        wanted = self.pool.slots + ahead - unsettled
        return (wanted if wanted * 2 >= ahead else 0), False

    def learn(self, demand: Demand, supply: Supply, seconds: float) -> None:
        """Take into account what a demand gave, and that it took so many seconds."""
        self._positions.learn(supply, demand.marks, seconds)
        saturated = len(supply.reservations) == demand.limit
        self._look_at = 0.0 if saturated else time.monotonic() + self._until_look(demand, supply)
        self._on_saturation(saturated)
        self.drained = demand.marks is None and not supply.reservations

    def _until_look(self, demand: Demand, supply: Supply) -> float:
        """Return the seconds until more may be there without having been announced."""
        poll = settings.POLL_SECONDS * self.pace.jitter()
        if demand.marks is not None:
            return min(poll, max(0.0, self._positions.until_start()))
        return poll if supply.next_due is None else min(poll, supply.next_due)

    def rest(self) -> float:
        """Return the seconds until it is worth asking again."""
        rest = self._look_at - time.monotonic()
        return min(rest, settings.POLL_SECONDS) if rest > 0 else settings.POLL_SECONDS
