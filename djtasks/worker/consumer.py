"""The loop that reserves messages for free slots and settles what has ended."""

from __future__ import annotations

import time
from collections.abc import Iterable

from djtasks.domain.messages import Demand, Reservation, Token
from djtasks.domain.outcomes import Released
from djtasks.worker import judge
from djtasks.worker.ending import Ending
from djtasks.worker.execution import Holder
from djtasks.worker.holdings import Holdings
from djtasks.worker.intake import Intake
from djtasks.worker.ledger import Ledger
from djtasks.worker.pools.base import Ended, Event, Lost, Pool, Returned
from djtasks.worker.receipt import tell_of_receipt

STALE_SECONDS = 0.5
START_SECONDS = 5.0
NOTE_SECONDS = 0.25


class Consumer:
    """Holds messages from their reservation to their settlement."""

    def __init__(
        self, pool: Pool, holder: Holder, holdings: Holdings, intake: Intake, ledger: Ledger, ending: Ending
    ) -> None:
        self.pool = pool
        self.holder = holder
        self.holdings = holdings
        self.intake = intake
        self.ledger = ledger
        self.ending = ending
        self.stopping = False
        self._moved_at = self._note_at = time.monotonic()

    # What the supervisor calls

    def absorb(self, events: Iterable[Event]) -> None:
        """Take note of what has happened in the pool."""
        now = time.monotonic()
        for event in events:
            self._moved_at = now
            match event:
                case Ended():
                    self.intake.pace.learn(event.seconds)
                    if event.waits:
                        self.ledger.promise(event.token)
                    if not self.holdings.end(event.token, event.outcome, event.started_at):
                        self.ledger.confirm(event.token, False)
                case Returned():
                    self.holdings.take_back(event.tokens)
                case Lost():
                    self.holdings.take_back(event.unstarted)
                    for token in event.suspects:
                        if held := self.holdings.in_pool(token):
                            self.holdings.end(token, judge.after_loss(held.message, event.reason, self.holder))
        if self.stopping:
            self.holdings.release_waiting()

    def step(self) -> float:
        """Do what is to be done; return for how many seconds nothing more will be."""
        now = time.monotonic()
        if not self.pool.runs_here:
            self.ledger.outage.observe(now)
        if (rest := self.ledger.outage.until_retry(now)) <= 0:
            rest = self._turn(now)
        if not self.pool.runs_here:
            self.ledger.outage.expect(rest)
        return rest

    def _turn(self, now: float) -> float:
        self._hand_over()
        self._release_stale(now)
        self.ending.enforce_limits(now)
        if self.holdings.pending and (rest := self.intake.pace.until_together(now)):
            return rest
        begin = self._to_begin() + self._to_note(now)
        demand = self._demand()
        if self.holdings.pending or begin or demand or self.ledger.outage.lasts:
            self._exchange(begin, demand)
        return self._rest()

    def drop(self, tokens: Iterable[Token]) -> None:
        """Let go of messages that are not ours any more: their runs are ended where the pool can."""
        for token in tokens:
            held = self.ledger.lose(token)
            if held is not None and held.place == "pool":
                self.pool.abandon(token)

    def stop(self) -> None:
        """Reserve no more and give back at once what has not begun."""
        self.stopping = True
        self.pool.recall()
        self.holdings.release_waiting()

    # Receiving and running

    def _demand(self) -> Demand | None:
        receives = not self.stopping and not self.ledger.outage.lasts
        return self.intake.demand(lapsed=not self.ledger.outage.recent) if receives else None

    def _accept(self, message: Reservation) -> None:
        self._moved_at = time.monotonic()
        self.holder.clock = message.reserved_at - self._moved_at
        self.holdings.accept(message)
        if outcome := judge.verdict(message, self.holder):
            self.holdings.end(message.token, outcome)
            if isinstance(outcome, Released):
                self.intake.strangers.meet(message.task, outcome.delay, judge.grace_of_unknown(message))
        else:
            self.intake.saw(message, judge.is_late(message))
            tell_of_receipt(message, self.holder)

    def _hand_over(self) -> None:
        if not self.stopping and (count := self.holdings.hand_over(self.pool, self.intake.pace.depth())):
            self._moved_at = time.monotonic()
            self.intake.pace.begin(count)

    def _to_begin(self) -> list[tuple[Token, bool]]:
        waits = self.holdings.waiting and not self.stopping
        return self.holdings.to_begin(self.pool.idle()) if waits else []

    def _to_note(self, now: float) -> list[tuple[Token, bool]]:
        """To note that a late message has begun waits for nothing, and for short ones is not worth a write."""
        if now < self._note_at:
            return []
        self._note_at = now + NOTE_SECONDS
        return self.holdings.to_note(self.pool.begun(), NOTE_SECONDS)

    def _release_stale(self, now: float) -> None:
        """Give back what waits behind long bodies, so that another worker may take it (H4)."""
        if now - self._moved_at >= (START_SECONDS if self.pool.is_starting() else STALE_SECONDS):
            # Without this it would take back at once what it gives away.
            self.intake.pace.suffer(self.holdings.youngest_run(now))
            self.pool.recall()
            self.holdings.release_waiting()
            self._moved_at = now

    def _rest(self) -> float:
        if self.ledger.outage.lasts:
            return max(0.0, self.ledger.outage.until_retry(time.monotonic()))
        if self.holdings.pending or self._to_begin() or self._demand():
            return 0.0
        return min(self.intake.rest(), NOTE_SECONDS) if self.holdings else self.intake.rest()

    # Settling

    def _exchange(self, begin: list[tuple[Token, bool]], demand: Demand | None) -> None:
        began_at = time.monotonic()
        if demand:
            self.intake.ask(demand)
        done = self.ledger.exchange(begin, demand)
        if done is None:
            self.intake.forget()
            return
        for token, _ in begin:
            self._note_begun(token, token in done.begun)
        for message in done.supply.reservations:
            self._accept(message)
        if demand:
            self.intake.learn(demand, done.supply, time.monotonic() - began_at)
        self._hand_over()

    def _note_begun(self, token: Token, begun: bool) -> None:
        held = self.holdings.held.get(token)
        if held is not None and held.place == "waiting":
            held.begun = begun
            if not begun:
                # It is lost or revoked: to release it is right in both cases.
                self.holdings.end(token, Released())
