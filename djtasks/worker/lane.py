"""The lanes of a worker, on one connection: the main one, and one for each queue that has a pool of its own."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf

from djtasks.broker.vendors import Vendor
from djtasks.domain.messages import Token
from djtasks.worker.consumer import Consumer
from djtasks.worker.ending import Ending
from djtasks.worker.execution import Holder
from djtasks.worker.holdings import Holdings
from djtasks.worker.intake import Intake
from djtasks.worker.ledger import Ledger
from djtasks.worker.limits import Limits
from djtasks.worker.plan import Plan, Queues
from djtasks.worker.rates import Rates


def lanes_of(plan: Plan, holder: Holder, vendor: Vendor, on_saturation: Callable[[bool], None]) -> Lanes:
    """Make the lanes that a worker was asked for."""
    rates = Rates.of_tasks()
    main = Lane(plan, plan.pool, plan.slots, holder, vendor, rates, plan.main_queues, plan.main_excluded, on_saturation)
    own = [Lane(plan, pool, slots, holder, vendor, rates, (queue,)) for queue, pool, slots in plan.pool_for]
    lanes = Lanes([main, *own])
    if own:
        main.ledger.takes = lambda queue: not any(lane.intake.subscription.serves(queue) for lane in own)
        main.ledger.beside = partial(lanes.tokens, -inf)
    for lane in own:
        lane.ledger.takes = lane.intake.subscription.serves
        lane.ledger.beside = partial(lanes.tokens, -inf)
        # What the remote control changes holds for all of them.
        lane.limits.changed = main.limits.changed
    return lanes


class Lane:
    """All that it takes to serve some queues with one pool."""

    def __init__(
        self,
        plan: Plan,
        pool: str,
        slots: int,
        holder: Holder,
        vendor: Vendor,
        rates: Rates,
        queues: Queues | None,
        excluded: Queues = (),
        on_saturation: Callable[[bool], None] = lambda saturated: None,
    ) -> None:
        self.holdings = Holdings()
        holder = replace(holder, note=self.holdings.note)
        self.pool = plan.make_pool(pool, slots, holder)
        self.intake = Intake(
            holder.worker_id,
            self.pool,
            self.holdings,
            queues=queues,
            excluded=excluded,
            rates=rates,
            burst=plan.burst,
            on_saturation=on_saturation,
        )
        self.ledger = Ledger(vendor, self.pool, holder, self.holdings)
        self.limits = Limits(self.pool, self.holdings, plan.soft_time_limit, plan.time_limit)
        self.ending = Ending(self.pool, holder, self.holdings, self.limits)
        self.consumer = Consumer(self.pool, holder, self.holdings, self.intake, self.ledger, self.ending)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is held and nothing runs."""
        return not self.holdings and not self.pool.is_busy()


class Lanes:
    """All lanes of a worker; most workers have the main one alone."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.main = lanes[0]
        self._lanes = lanes
        self._selector = selectors.DefaultSelector()
        if len(lanes) > 1:
            for lane in lanes:
                self._selector.register(lane.pool, selectors.EVENT_READ)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def __len__(self) -> int:
        """Count what is held."""
        return sum(len(lane.holdings) for lane in self._lanes)

    # In the order of a worker's life

    def start(self) -> None:
        """Make all slots."""
        for lane in self._lanes:
            lane.pool.start()

    def step(self) -> float:
        """Do what is to be done; return for how many seconds nothing more will be."""
        return min(lane.consumer.step() for lane in self._lanes)

    def wait(self, rest: float) -> None:
        """Sleep until something happens in any pool, and take note of it."""
        if len(self._lanes) > 1:
            for lane in self._lanes:
                lane.pool.flush()
            self._selector.select(max(0.0, rest))
            rest = 0.0
        for lane in self._lanes:
            lane.consumer.absorb(lane.pool.wait(rest))

    def stop(self) -> None:
        """Reserve no more, and tell the bodies."""
        for lane in self._lanes:
            lane.pool.warn()
            lane.consumer.stop()

    def end(self) -> None:
        """End all that runs, and decide over it: bodies first, so that none outlives its message."""
        for lane in self._lanes:
            lane.consumer.absorb(lane.pool.close())
            lane.consumer.stopping = True
            lane.ending.give_up()

    def close(self) -> None:
        """Leave nothing behind."""
        for lane in self._lanes:
            lane.pool.close()
            lane.ledger.aftermath.close()
        self._selector.close()

    @property
    def at_rest(self) -> bool:
        """Whether nothing is held and nothing runs."""
        return all(lane.at_rest for lane in self._lanes)

    @property
    def drained(self) -> bool:
        """Whether nothing was ready when it was looked for."""
        return all(lane.intake.drained for lane in self._lanes)

    @property
    def slots(self) -> int:
        """How many bodies may run at a time."""
        return sum(lane.pool.slots for lane in self._lanes)

    def columns(self) -> dict[str, list[str] | None]:
        """Say which queues are served, as the worker's row does."""
        main = self.main.intake.subscription
        own = [queue for lane in self._lanes[1:] for queue in lane.intake.subscription.queues or ()]
        return {
            "queues": None if main.queues is None else [*main.queues, *own],
            "excluded": [queue for queue in main.excluded if queue not in own],
        }

    def pause(self, queues: Queues) -> None:
        """Receive nothing from these queues."""
        for lane in self._lanes:
            lane.intake.pause(queues)

    def drop(self, tokens: Sequence[Token]) -> None:
        """Let go of messages that are not ours any more."""
        for lane in self._lanes:
            lane.consumer.drop(tokens)

    def revoke(self, signals: Mapping[Token, str]) -> None:
        """Heed revocations."""
        for lane in self._lanes:
            lane.ending.revoke(signals)

    # What the heartbeat's thread asks and tells

    def tokens(self, seconds: float) -> list[Token]:
        """Return the leases that were written more than so many seconds ago."""
        return [token for lane in self._lanes for token in lane.holdings.older_than(seconds)]

    def notes(self) -> dict[Token, str]:
        """Return what runs say of themselves."""
        return {token: text for lane in self._lanes for token, text in lane.holdings.notes.copy().items()}

    def noted(self, written: Mapping[Token, str]) -> None:
        """Take note of what was written of that."""
        for lane in self._lanes:
            lane.holdings.noted(written)

    def renewed(self, began_at: float) -> None:
        """Take note of when leases were renewed."""
        for lane in self._lanes:
            lane.holdings.renewed(began_at)

    def look(self) -> None:
        """Ask again at once."""
        for lane in self._lanes:
            lane.intake.look()
