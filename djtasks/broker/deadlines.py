"""Answers that do not come: a connection that has been silent for too long is broken off (C4).

TCP notices a host that is gone, but neither a server that was stopped nor a proxy that has forgotten us.
"""

from __future__ import annotations

import logging
import threading
import time
from math import inf

from djtasks.broker.vendors import Vendor
from djtasks.conf import settings

logger = logging.getLogger("djtasks.broker")
LONGEST_SECONDS = 15.0
TICK_SECONDS = 1.0


class Deadline:
    """Until when the database has to answer: half a lease, so that there is time to renew it elsewhere."""

    def __init__(self) -> None:
        self.seconds = min(LONGEST_SECONDS, settings.LEASE_SECONDS / 2)
        self._until = inf
        self._vendor: Vendor | None = None

    def begin(self, vendor: Vendor) -> None:
        """Expect an answer on this vendor's connection."""
        self._vendor = vendor
        self._until = time.monotonic() + self.seconds

    def end(self) -> None:
        """Expect nothing more."""
        self._until = inf

    def extend(self) -> None:
        """Give it all the time anew: we could not have heard an answer."""
        if self._until < inf:
            self._until = time.monotonic() + self.seconds

    def enforce(self) -> None:
        """Break the connection off if its time is over: whoever waits for it gets an error, and makes another."""
        if time.monotonic() >= self._until and self._vendor is not None:
            self._until = inf
            logger.error("the database has not answered for %g s: the connection is broken off", self.seconds)
            self._vendor.cut()


class Watch(threading.Thread):
    """Enforces deadlines while those who wait cannot."""

    def __init__(self, *deadlines: Deadline) -> None:
        super().__init__(name="djtasks-watch", daemon=True)
        self.deadlines = deadlines
        self._ended = threading.Event()

    def run(self) -> None:
        """Look at them now and then."""
        tick = min(TICK_SECONDS, *(deadline.seconds / 4 for deadline in self.deadlines))
        looked_at = time.monotonic()
        while not self._ended.wait(tick):
            stalled, looked_at = time.monotonic() - looked_at > 2 * tick + TICK_SECONDS, time.monotonic()
            for deadline in self.deadlines:
                (deadline.extend if stalled else deadline.enforce)()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
