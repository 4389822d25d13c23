"""When to reserve, and how many: for free slots, and a little ahead where tasks are short."""

from __future__ import annotations

import time
from collections.abc import Callable

from djtasks.broker.reserve import Positions
from djtasks.conf import settings
from djtasks.domain.messages import Demand, Reservation, Supply
from djtasks.worker.holdings import Holdings
from djtasks.worker.pace import Pace
from djtasks.worker.pools.base import Pool
from djtasks.worker.rates import LimitedIntake, Rates
from djtasks.worker.strangers import Strangers
from djtasks.worker.subscription import Subscription

FULL_SECONDS = 5.0

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
        rates: Rates | None = None,
        burst: bool = False,
        on_saturation: Callable[[bool], None] = lambda saturated: None,
    ) -> None:
        self.worker_id = worker_id
        self.pool = pool
        self.holdings = holdings
        self.subscription = Subscription(queues, excluded)
        self.rates = rates or Rates()
        self.strangers = Strangers()
        self.burst = burst
        self.pace = Pace(pool.slots, pool.runs_abreast)
        self._drained = False
        self._learned_at = time.monotonic()
        self._limited = LimitedIntake(self.rates)
        self._limited_was_last = False
        self._without: Queues = ()
        self._positions = Positions(settings.POLL_SECONDS)
        self._look_at = 0.0
        self._announced = False
        self._on_saturation = on_saturation

    def pause(self, queues: Queues) -> None:
        """Receive nothing from these queues, and from all others again."""
        self._begin_anew(self.subscription.pause(queues))

    def serve(self, queue: str) -> bool:
        """Serve a queue from now on; say whether that is a change (ROUTE-3)."""
        return self._begin_anew(self.subscription.add(queue))

    def drop(self, queue: str) -> bool:
        """Serve a queue no longer; say whether that is a change (ROUTE-3)."""
        return self._begin_anew(self.subscription.remove(queue))

    def _begin_anew(self, changed: bool) -> bool:
        if changed:
            self.forget()
            self.look()
        return changed

    def look(self) -> None:
        """Ask again at once: something was announced; safe from another thread."""
        self._announced = True
        self._limited.look()

    def ask(self, demand: Demand) -> None:
        """Note that a demand is on its way: what is announced from now on, it may not see."""
        if demand.only:
            self._limited.ask()
        else:
            self._announced = False

    def forget(self) -> None:
        """Read from the start: what was known of the queues may be wrong."""
        self._positions.forget()
        self._limited.forget()

    @property
    def drained(self) -> bool:
        """Whether nothing is ready, neither for a slot nor for a token."""
        return self._drained and self._limited.drained

    def demand(self, *, lapsed: bool) -> Demand | None:
        """Return what to reserve now, if anything; a transaction that settles asks for more in any case."""
        limit, begin = self._capacity()
        now = time.monotonic()
        if limit <= 0:
            if now - self._learned_at > FULL_SECONDS:
                self._on_saturation(True)
            return None
        self._leave_alone(self.rates.limited + self.strangers.names(now))
        is_time = bool(self._announced or now >= self._look_at or self.holdings.pending)
        only: Queues = ()
        # Where both want to read, they take turns.
        if self.rates.limited and (self._limited_was_last is False or not is_time):
            only = self._limited.names(now)
            if not only and not is_time and self.burst and self._drained:
                only, limit = self._limited.unknown(), 0
        if not only and not is_time:
            return None
        marks, since = self._limited.beginning(only) if only else self._positions.beginning()
        return Demand(
            worker=self.worker_id,
            limit=min(limit, 1) if only else limit,
            lease=settings.LEASE_SECONDS,
            queues=self.subscription.queues,
            excluded=self.subscription.left_out,
            begin=begin,
            lapsed=lapsed,
            marks=marks,
            without=() if only else self._without,
            only=only,
            since=since,
            ageing=settings.PRIORITY_AGEING_SECONDS,
        )

    def _leave_alone(self, names: tuple[str, ...]) -> None:
        """Receive messages of these tasks no longer where all others are received."""
        if names != self._without:
            self._without = names
            self._positions = Positions(settings.POLL_SECONDS, selective=bool(names))
            self._look_at = 0.0

    def _capacity(self) -> tuple[int, bool]:
        """Return how many messages to ask for, and whether early ones may begin at once: each has a slot then."""
        self.pace.slots = self.pool.slots
        ahead = self.pace.ahead()
        if not ahead:
            return self.pool.idle() - len(self.holdings.waiting), True
        unsettled = len(self.holdings.held) - len(self.holdings.pending)
        wanted = self.pool.slots + ahead - unsettled
        return (wanted if wanted * 2 >= ahead else 0), False

    def saw(self, message: Reservation, late: bool) -> None:
        """Take note of a message that is going to begin."""
        self.pace.saw(late)
        if self.rates.limited:
            self.rates.take(message.task)

    def learn(self, demand: Demand, supply: Supply, seconds: float) -> None:
        """Take into account what a demand gave, and that it took so many seconds."""
        self._limited_was_last = bool(demand.only)
        self._learned_at = time.monotonic()
        if demand.only:
            self._limited.learn(demand, supply, seconds)
            return
        saturated = len(supply.reservations) == demand.limit
        self._positions.learn(supply, demand.marks, seconds, full=saturated)
        rest = min(settings.POLL_SECONDS * self.pace.jitter(), self._positions.until_look(supply, demand.marks))
        self._look_at = 0.0 if saturated else min(time.monotonic() + rest, self.strangers.until())
        self._on_saturation(saturated)
        self._drained = demand.marks is None and not supply.reservations

    def rest(self) -> float:
        """Return the seconds until it is worth asking again."""
        rest = self._look_at - time.monotonic()
        rest = min(rest, settings.POLL_SECONDS) if rest > 0 else settings.POLL_SECONDS
        return min(rest, self._limited.rest()) if self.rates.limited else rest
