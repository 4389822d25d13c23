"""The loop that reserves messages for free slots and settles what has ended."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from django.db import Error

from djtasks import signals
from djtasks.broker.recover import recover
from djtasks.broker.reserve import Positions
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Exchange, Vendor
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.messages import Demand, Reservation, Supply, Token
from djtasks.domain.outcomes import Failure, Outcome, Released, Settlement
from djtasks.tasks import registry
from djtasks.worker import judge
from djtasks.worker.execution import Holder
from djtasks.worker.pace import Outage, Pace
from djtasks.worker.pools.base import Ended, Event, Lost, Pool, Returned

logger = logging.getLogger("djtasks.worker")
STALE_SECONDS = 0.5
Queues = tuple[str, ...]


class Held:
    """A message that this worker holds, and where it is."""

    __slots__ = ("begun", "message", "place", "since")

    def __init__(self, message: Reservation) -> None:
        self.message = message
        self.since = time.monotonic()
        self.begun = message.started_at is not None and not message.begun_before
        self.place: Literal["buffer", "pool", "ended"] = "buffer"


class Consumer:
    """Holds messages from their reservation to their settlement."""

    def __init__(
        self,
        vendor: Vendor,
        pool: Pool,
        holder: Holder,
        *,
        queues: Queues | None = None,
        excluded: Queues = (),
        on_saturation: Callable[[bool], None] = lambda saturated: None,
    ) -> None:
        self.vendor = vendor
        self.pool = pool
        self.holder = holder
        self.queues = queues
        self.excluded = excluded
        self.held: dict[Token, Held] = {}
        self.stopping = False
        self.drained = False
        self._buffer: deque[Reservation] = deque()
        self._pending: dict[Token, Settlement] = {}
        self._confirming: set[Token] = set()
        self._positions = Positions(settings.POLL_SECONDS)
        self._pace = Pace(pool.slots)
        self._outage = Outage(settings.LEASE_SECONDS)
        self._look_at = 0.0
        self._moved_at = time.monotonic()
        self._on_saturation = on_saturation

    # What the supervisor calls

    def absorb(self, events: Iterable[Event]) -> None:
        """Take note of what has happened in the pool."""
        for event in events:
            self._moved_at = time.monotonic()
            match event:
                case Ended():
                    self._pace.learn(event.seconds)
                    if event.waits:
                        self._confirming.add(event.token)
                    self._end(event.token, event.outcome, event.started_at)
                case Returned():
                    self._take_back(event.tokens)
                case Lost():
                    self._take_back(event.unstarted)
                    for token in event.suspects:
                        if held := self._held_in_pool(token):
                            self._end(token, judge.after_loss(held.message, event.reason, self.holder))

    def step(self) -> float:
        """Do what is to be done; return for how many seconds nothing more will be."""
        now = time.monotonic()
        if (rest := self._outage.until_retry(now)) > 0:
            return rest
        self._dispatch()
        self._release_stale(now)
        begin = self._to_begin()
        demand = self._demand(now)
        if self._pending or begin or demand:
            self._exchange(begin, demand)
        return self._rest()

    def _rest(self) -> float:
        now = time.monotonic()
        if self._outage.lasts:
            return self._outage.until_retry(now)
        if self._pending or self._to_begin() or self._demand(now):
            return 0.0
        soonest = self._look_at if self._look_at > now else now + settings.POLL_SECONDS
        return min(soonest, now + (STALE_SECONDS if self._buffer else settings.POLL_SECONDS)) - now

    def look(self) -> None:
        """Look for messages at the next step: something was announced."""
        self._look_at = 0.0

    def drop(self, tokens: Iterable[Token]) -> None:
        """Let go of messages that are not ours any more: their runs are ended where the pool can."""
        for token in tokens:
            held = self.held.pop(token, None)
            if held is None:
                continue
            logger.warning("lease lost: %s[%s] delivery %d", held.message.task, token.id, token.deliveries)
            self._pending.pop(token, None)
            if held.place == "buffer":
                self._buffer.remove(held.message)
            else:
                self.pool.abandon(token)

    def stop(self) -> None:
        """Reserve no more and give back at once what has not begun."""
        self.stopping = True
        self.pool.recall()
        self._release_buffer()

    def give_up(self) -> None:
        """Decide over all that still runs: late messages are released, early ones are lost (WORK-8)."""
        for token, held in list(self.held.items()):
            if held.place != "ended":
                self._end(token, judge.given_up(held.message, held.place == "pool", self.holder))

    @property
    def idle(self) -> bool:
        """Whether nothing is held."""
        return not self.held

    def tokens_to_renew(self, older_than: float) -> list[Token]:
        """Return the leases that were written more than so many seconds ago; safe from another thread."""
        before = time.monotonic() - older_than
        return [token for token, held in list(self.held.items()) if held.since < before]

    # Receiving

    def _demand(self, now: float) -> Demand | None:
        if self.stopping or self._outage.lasts:
            return None
        limit, begin = self._capacity()
        if limit <= 0 or (now < self._look_at and not self._pending):
            return None
        return Demand(
            worker=self.holder.worker_id,
            limit=limit,
            lease=settings.LEASE_SECONDS,
            queues=self.queues,
            excluded=self.excluded,
            begin=begin,
            lapsed=not self._outage.recent,
            marks=self._positions.marks(),
        )

    def _capacity(self) -> tuple[int, bool]:
        """Return how many messages to ask for, and whether early ones may begin at once: each has a slot then."""
        ahead = self._pace.ahead()
        if not ahead:
            return self.pool.idle() - len(self._buffer), True
        unstarted = len(self.held) - len(self._pending)
        wanted = self.pool.slots + ahead - unstarted
        return (wanted if wanted * 2 >= ahead else 0), False

    def _receive(self, demand: Demand, supply: Supply, seconds: float) -> None:
        now = time.monotonic()
        self._positions.learn(supply, demand.marks, seconds)
        for message in supply.reservations:
            self._moved_at = now
            self._accept(message)
        if len(supply.reservations) == demand.limit:
            self._look_at = 0.0
            self._on_saturation(True)
        else:
            rests = [settings.POLL_SECONDS * self._pace.jitter()]
            if demand.marks is not None:
                rests.append(max(0.0, self._positions.until_start()))
            elif supply.next_due is not None:
                rests.append(supply.next_due)
            self._look_at = now + min(rests)
            self._on_saturation(False)
        self.drained = demand.marks is None and not supply.reservations

    def _accept(self, message: Reservation) -> None:
        self.holder.clock = message.reserved_at - time.monotonic()
        self.held[message.token] = Held(message)
        outcome = judge.verdict(message, self.holder)
        if outcome is not None:
            self._end(message.token, outcome)
            return
        self._pace.saw(judge.is_late(message))
        self._buffer.append(message)

    # Running

    def _dispatch(self) -> None:
        """Hand over what may begin: late messages ahead of their turn, early ones that were begun for a free slot."""
        if self.stopping:
            return
        depth = self._pace.depth()
        room, idle = self.pool.room(depth), self.pool.idle()
        together: list[Reservation] = []
        passed: list[Reservation] = []
        while self._buffer and len(together) < room:
            message = self._buffer.popleft()
            held = self.held[message.token]
            if message.losses:
                if not self._runs_alone(message, held):
                    passed.append(message)
            elif judge.is_late(message) or (held.begun and len(together) < idle):
                held.place = "pool"
                together.append(message)
            else:
                passed.append(message)
        self._buffer.extendleft(reversed(passed))
        if together:
            self.pool.submit(together, depth)
            self._moved_at = time.monotonic()

    def _runs_alone(self, message: Reservation, held: Held) -> bool:
        """Give a message that has lost a worker before a process in which it can harm nobody else."""
        if not held.begun or not self.pool.submit_alone(message):
            return False
        held.place = "pool"
        return True

    def _to_begin(self) -> list[tuple[Token, bool]]:
        """Name the messages to acknowledge before their bodies run, as many as there are slots for them."""
        if self.stopping:
            return []
        idle = self.pool.idle()
        begin = []
        for message in self._buffer:
            held = self.held[message.token]
            late = judge.is_late(message)
            if not held.begun and (message.losses or not late) and len(begin) < idle:
                begin.append((message.token, late))
        return begin

    def _take_back(self, tokens: Iterable[Token]) -> None:
        """Keep what came back from the pool unstarted for another slot, or give it back when stopping."""
        for token in tokens:
            if held := self._held_in_pool(token):
                held.place = "buffer"
                self._buffer.appendleft(held.message)
        if self.stopping:
            self._release_buffer()

    def _held_in_pool(self, token: Token) -> Held | None:
        held = self.held.get(token)
        return held if held is not None and held.place == "pool" else None

    def _release_stale(self, now: float) -> None:
        """Give back what waits behind long bodies, so that another worker may take it (H4)."""
        if now - self._moved_at < STALE_SECONDS:
            return
        self.pool.recall()
        self._release_buffer()
        self._moved_at = now

    def _release_buffer(self) -> None:
        while self._buffer:
            message = self._buffer.popleft()
            self._end(message.token, Released())

    # Settling

    def _end(self, token: Token, outcome: Outcome, started_at: float | None = None) -> None:
        held = self.held.get(token)
        if held is not None:
            held.place = "ended"
            self._pending[token] = Settlement(token, outcome, started_at)

    def _exchange(self, begin: list[tuple[Token, bool]], demand: Demand | None) -> None:
        settlements = list(self._pending.values())
        begun_at = time.monotonic()
        try:
            if self._outage.lasts:
                self._recover()
                demand = None
                settlements = list(self._pending.values())
            done = settle(
                self.vendor,
                settlements,
                begin,
                demand,
                hostname=self.holder.hostname,
                retention=settings.result_expires_seconds,
            )
        except Error as error:
            self._disconnect(error)
            return
        self._outage.over()
        self._conclude(settlements, begin, done)
        if demand:
            self._receive(demand, done.supply, time.monotonic() - begun_at)
        self._dispatch()

    def _conclude(self, settlements: list[Settlement], begin: list[tuple[Token, bool]], done: Exchange) -> None:
        for settlement in settlements:
            token = settlement.token
            written = token in done.settled
            held = self.held.pop(token, None)
            self._pending.pop(token, None)
            self._confirm(token, written)
            if not written and held:
                logger.warning("lease lost: %s[%s] delivery %d", held.message.task, token.id, token.deliveries)
            elif held and settlement.started_at is None and isinstance(settlement.outcome, Failure):
                self._announce_loss(held.message, settlement.outcome)
        for token, _ in begin:
            if token not in done.begun:
                self._reconsider(token)
            elif held := self.held.get(token):
                held.begun = True

    def _confirm(self, token: Token, written: bool) -> None:
        if token in self._confirming:
            self._confirming.discard(token)
            self.pool.settled(token, written)

    def _reconsider(self, token: Token) -> None:
        """A message that could not begin is lost or revoked; to release it is right in both cases."""
        held = self.held.get(token)
        if held is not None and held.place == "buffer":
            self._buffer.remove(held.message)
            self._end(token, Released())

    def _announce_loss(self, message: Reservation, outcome: Failure) -> None:
        task = registry.find(message.task)
        if task is not None:
            signals.send(
                signals.task_failure,
                task,
                task_id=message.id,
                exception=judge.reason_of(outcome),
                args=None,
                kwargs=None,
                einfo=None,
            )

    def _disconnect(self, error: Error) -> None:
        """Keep everything, and try again by and by: the database may be gone for any length of time."""
        if self._outage.begin():
            logger.error("the database is not there: %s", payloads.printable(str(error).strip(), 500))
        self._positions.forget()
        try:
            self.vendor.connection.close()
        except Error:
            logger.debug("the broken connection could not be closed", exc_info=True)

    def _recover(self) -> None:
        """Learn what the lost transaction had done before its answer was lost."""
        found = recover(self.vendor, self.holder.worker_id, list(self.held), settings.LEASE_SECONDS)
        for token in found.written:
            if token in self._pending:
                del self._pending[token], self.held[token]
                self._confirm(token, True)
        for message in found.adopted:
            self._accept(message)
        logger.warning("the database is back")
