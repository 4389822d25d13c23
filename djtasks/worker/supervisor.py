"""The worker's main loop: it owns the lanes and the heartbeat, and it alone hears signals."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from contextlib import suppress
from functools import partial

from django.db import DatabaseError

from djtasks import signals
from djtasks.broker.deadlines import Watch
from djtasks.broker.pause import paused
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.conf import settings
from djtasks.domain.identifiers import new_id
from djtasks.domain.messages import Token
from djtasks.worker.autoscale import Autoscaler
from djtasks.worker.execution import Holder
from djtasks.worker.heartbeat import Heartbeat
from djtasks.worker.lane import lanes_of
from djtasks.worker.plan import Plan, Queues
from djtasks.worker.serving import resident_kib
from djtasks.worker.shutdown import Shutdown, Stage
from djtasks.worker.verbs import perform

logger = logging.getLogger("djtasks.worker")
BUSY_SECONDS = 5.0


class Supervisor:
    """One worker; its identity is a new UUID for each start, never its name."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.vendor = private_vendor()
        self.lanes = lanes_of(plan, Holder(new_id(), plan.hostname), self.vendor, self._saturated)
        main = self.lanes.main
        self.holder = main.pool.holder
        self.pool, self.intake, self.limits, self.rates = main.pool, main.intake, main.limits, main.intake.rates
        self.autoscaler = Autoscaler(self.pool, *plan.autoscale) if plan.autoscale else None
        self.heartbeat = Heartbeat(
            plan.row(self.holder.worker_id) | self.lanes.columns(),
            tokens=self.lanes.tokens,
            announced=self._announced,
            lost=self._lost,
            revoked=self._revoked,
            watch=self._watch if self.pool.runs_here else None,
            notes=self.lanes.notes,
            noted=self.lanes.noted,
            renewed=self.lanes.renewed,
            memory=self._memory,
        )
        self.watch = Watch(*(lane.ledger.deadline for lane in self.lanes), self.heartbeat.deadline)
        self.shutdown = Shutdown(self.pool.alarm, grace=plan.grace, soft_seconds=settings.WORKER_SOFT_SHUTDOWN_TIMEOUT)
        self._lost_tokens: deque[Token] = deque()
        self._revoked_tokens: deque[dict[Token, str]] = deque()
        self._busy_since = math.inf
        self._paused: Queues = ()
        self.heartbeat.mailbox.besides = self._read_pauses
        self.stopping = False

    def run(self) -> None:
        """Work until told to stop, or until nothing is ready where the plan says burst."""
        signals.send(signals.worker_init, self)
        restore = self.shutdown.hear()
        # Where the database cannot be asked, nothing can be received either.
        with suppress(DatabaseError):
            self._read_pauses(self.vendor)
        self.lanes.start()
        self.heartbeat.start()
        self.watch.start()
        signals.send(signals.worker_ready, self)
        try:
            while not self._is_over():
                self._turn()
            self._finish()
        finally:
            self.shutdown.hear_no_more()
            self.lanes.close()
            self.heartbeat.end()
            self.heartbeat.join(timeout=5)
            self.watch.end()
            self.vendor.connection.close()
            restore()
            signals.send(signals.worker_shutdown, self)

    def request_stop(self) -> None:
        """Ask for a warm end; safe from every thread."""
        self.shutdown.ask()

    def _turn(self) -> None:
        if self.shutdown.proceed() and not self.stopping:
            self._begin_stopping()
        if self.autoscaler and not self.stopping and self.autoscaler.look(time.monotonic()):
            self.heartbeat.change(slots=self.lanes.slots)
        self.lanes.pause(self._paused)
        rest = min(self.lanes.step(), self.shutdown.rest())
        self.lanes.wait(0.0 if self._is_over() else rest)
        while self._lost_tokens:
            self.lanes.drop([self._lost_tokens.popleft()])
        while self._revoked_tokens:
            self.lanes.revoke(self._revoked_tokens.popleft())
        self.heartbeat.mailbox.perform(partial(perform, self))

    def _is_over(self) -> bool:
        if self.shutdown.stage is Stage.WORKING:
            return self.plan.burst and self.lanes.drained and self.lanes.at_rest
        return self.shutdown.stage >= Stage.COLD or (self.stopping and self.lanes.at_rest)

    def _begin_stopping(self) -> None:
        logger.info("stopping: %d messages are held, up to %gs of grace", len(self.lanes), self.shutdown.allowed)
        self.stopping = True
        self.shutdown.tell(self.plan.hostname)
        self.lanes.stop()

    def _finish(self) -> None:
        """Settle what the grace was too short for."""
        if self.shutdown.stage is not Stage.WORKING and not self.stopping:
            self.shutdown.tell(self.plan.hostname)
        self.shutdown.hear_no_more()
        self.lanes.end()
        ends = time.monotonic() + min(self.plan.grace, settings.LEASE_SECONDS) + 1
        while self.lanes and time.monotonic() < ends and self.shutdown.stage is not Stage.HARD:
            time.sleep(min(0.2, self.lanes.step()))
        if self.lanes:
            logger.warning("%d messages are left under leases that run out by themselves", len(self.lanes))

    # What the heartbeat's thread calls

    def _announced(self) -> None:
        self.lanes.look()
        self.pool.alarm.ring()

    def _read_pauses(self, vendor: Vendor) -> None:
        if (queues := tuple(paused(vendor))) != self._paused:
            logger.info("paused queues: %s", ", ".join(queues) or "none")
            self._paused = queues
            self.pool.alarm.ring()

    def _memory(self) -> int:
        """Measure all processes of the worker, in KiB; what they share is counted in each."""
        return sum(map(resident_kib, [os.getpid(), *(pid for lane in self.lanes for pid in lane.pool.pids())]))

    def _lost(self, tokens: list[Token]) -> None:
        self._lost_tokens.extend(tokens)
        self.pool.alarm.ring()

    def _revoked(self, signals: dict[Token, str]) -> None:
        self._revoked_tokens.append(signals)
        self.pool.alarm.ring()
        if self.pool.runs_here:
            for token in signals:
                self.pool.tell_revoked(token)

    def _watch(self, now: float) -> None:
        """Look after the body that keeps the loop from doing so; it cannot be ended, only interrupted."""
        for held, _ in self.limits.overdue(now):
            held.limits = None, None
            self.pool.interrupt(held.message.token)

    # What the consumer of the main lane tells

    def _saturated(self, saturated: bool) -> None:
        """Ask for announcements unless the worker has been busy for a while: then it looks by itself all the time."""
        now = time.monotonic()
        if self.autoscaler:
            self.autoscaler.saturated = saturated
        if not saturated:
            self._busy_since = math.inf
        # The last look may lie a whole interval back: what was found then says nothing of the time in between.
        elif self._busy_since == math.inf:
            self._busy_since = now
        self.heartbeat.listen(now - self._busy_since < BUSY_SECONDS)
