"""The worker's main loop: it owns the pool, the consumer and the heartbeat, and it alone hears signals."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections import deque
from dataclasses import dataclass
from types import FrameType
from typing import Any

from djtasks import signals
from djtasks.broker.vendors import private_vendor
from djtasks.conf import settings
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Token
from djtasks.worker.consumer import Consumer
from djtasks.worker.execution import Holder
from djtasks.worker.heartbeat import Heartbeat
from djtasks.worker.holdings import Holdings
from djtasks.worker.intake import Intake
from djtasks.worker.ledger import Ledger
from djtasks.worker.pools import make_pool
from djtasks.worker.pools.base import Ended

logger = logging.getLogger("djtasks.worker")
BUSY_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Plan:
    """What a worker was asked to be."""

    hostname: str
    pool: str
    slots: int
    queues: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()
    burst: bool = False
    grace: float = 30.0
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None


class Supervisor:
    """One worker; its identity is a new UUID for each start, never its name."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.holder = Holder(str(uuid7()), plan.hostname)
        self.pool = make_pool(
            plan.pool,
            plan.slots,
            self.holder,
            max_tasks_per_child=plan.max_tasks_per_child,
            max_memory_per_child=plan.max_memory_per_child,
        )
        self.vendor = private_vendor()
        self.holdings = Holdings()
        self.intake = Intake(
            self.holder.worker_id,
            self.pool,
            self.holdings,
            queues=plan.queues,
            excluded=plan.excluded,
            on_saturation=self._saturated,
        )
        ledger = Ledger(self.vendor, self.pool, self.holder, self.holdings)
        self.consumer = Consumer(self.pool, self.holder, self.holdings, self.intake, ledger)
        self.heartbeat = Heartbeat(
            self._row(), tokens=self.holdings.older_than, announced=self._announced, lost=self._lost
        )
        self._lost_tokens: deque[Token] = deque()
        self._stop_requests = 0
        self._grace_ends = float("inf")
        self._free_at = 0.0

    def _row(self) -> dict[str, Any]:
        return {
            "id": self.holder.worker_id,
            "name": self.plan.hostname,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": self.plan.pool,
            "slots": self.plan.slots,
            "queues": self.plan.queues and list(self.plan.queues),
        }

    def run(self) -> None:
        """Work until told to stop, or until nothing is ready where the plan says burst."""
        restore = self._hear_signals()
        self.pool.start()
        self.heartbeat.start()
        signals.send(signals.worker_ready, self)
        try:
            while not self._is_over():
                self._turn()
            self._finish()
        finally:
            self._close_pool()
            self.heartbeat.end()
            self.heartbeat.join(timeout=5)
            self.vendor.connection.close()
            restore()
            signals.send(signals.worker_shutdown, self)

    def _turn(self) -> None:
        if self._stop_requests and not self.consumer.stopping:
            self._begin_stopping()
        rest = self.consumer.step()
        if self.consumer.stopping:
            rest = min(rest, max(0.0, self._grace_ends - time.monotonic()))
        self.consumer.absorb(self.pool.wait(rest))
        if self._lost_tokens:
            self.consumer.drop([self._lost_tokens.popleft() for _ in range(len(self._lost_tokens))])

    def _is_over(self) -> bool:
        at_rest = not self.holdings and not self.pool.is_busy()
        if self.consumer.stopping:
            return at_rest or self._stop_requests > 1 or time.monotonic() >= self._grace_ends
        return self.plan.burst and self.intake.drained and at_rest and not self._stop_requests

    def _begin_stopping(self) -> None:
        logger.info("stopping: %d messages are held, up to %gs of grace", len(self.holdings), self.plan.grace)
        self._grace_ends = time.monotonic() + self.plan.grace
        self.pool.warn()
        self.consumer.stop()

    def _finish(self) -> None:
        """Settle what the grace was too short for: bodies are ended first, so that none outlives its message."""
        self.consumer.absorb(self._close_pool())
        self.consumer.give_up()
        ends = time.monotonic() + min(self.plan.grace, settings.LEASE_SECONDS) + 1
        while self.holdings and time.monotonic() < ends:
            time.sleep(min(0.2, self.consumer.step()))

    def _close_pool(self) -> list[Ended]:
        # The number of the alarm's socket may be the next connection's, into which no signal is to write.
        signal.set_wakeup_fd(-1)
        return self.pool.close()

    def _hear_signals(self) -> Any:
        """Let signals set flags and wake the loop: a handler that raises could hit any line of anybody's code."""
        before = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        wakeup = signal.set_wakeup_fd(self.pool.alarm.bell, warn_on_full_buffer=False)

        def restore() -> None:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_requests += 1

    # What the heartbeat's thread calls

    def _announced(self) -> None:
        self.intake.look()
        self.pool.alarm.ring()

    def _lost(self, tokens: list[Token]) -> None:
        self._lost_tokens.extend(tokens)
        self.pool.alarm.ring()

    def _saturated(self, saturated: bool) -> None:
        """Ask for announcements unless the worker has been busy for a while: then it looks by itself all the time."""
        now = time.monotonic()
        if not saturated:
            self._free_at = now
        self.heartbeat.listen(now - self._free_at < BUSY_SECONDS)
