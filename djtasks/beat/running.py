"""A running beat: it sleeps until the next schedule is due, or until one was changed, and gives its sign of life."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from datetime import timedelta

from django.db import Error

from djtasks import signals
from djtasks.beat.declared import synchronise
from djtasks.beat.tick import seconds_until_next, tick
from djtasks.broker.deadlines import Deadline, Watch
from djtasks.broker.sign import SignOfLife
from djtasks.broker.vendors import Listener, Vendor, private_vendor
from djtasks.broker.vendors.base import SCHEDULES_CHANNEL
from djtasks.conf import settings
from djtasks.domain.identifiers import uuid7
from djtasks.domain.payloads import printable
from djtasks.models import Beat as BeatRow
from djtasks.models import Slot
from djtasks.models.clock import Now

logger = logging.getLogger("djtasks.beat")
SIGN_OF_LIFE_SECONDS = 5.0
VANISHED_SECONDS = 30.0
PURGE_SECONDS = 60.0
PURGE_BATCH = 1000
HEAR_SECONDS = 0.25
# What is due may be locked by somebody who edits it.
SHORTEST_REST = 0.05
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


class Beat:
    """One of any number of beats; each does what the others have left."""

    def __init__(self, name: str, *, max_interval: float | None = None, worker: str | None = None) -> None:
        self.row = {"id": uuid7(), "name": name, "host": socket.gethostname(), "pid": os.getpid(), "worker": worker}
        self.max_interval = max_interval or settings.BEAT_MAX_LOOP_INTERVAL
        self.deadline = Deadline()
        self._ended = threading.Event()
        self._pause = FIRST_PAUSE
        self._has_begun = False
        self._sign = SignOfLife(BeatRow, self.row)
        self._sign_at = 0.0
        self._purge_at = time.monotonic() + random.uniform(0, PURGE_SECONDS)

    def run(self) -> None:
        """Beat until told to end; the database may come and go."""
        signals.send(signals.beat_embedded_init if self.row["worker"] else signals.beat_init, self)
        watch = Watch(self.deadline)
        watch.start()
        try:
            while not self._ended.is_set():
                self._run_connected()
        finally:
            watch.end()

    def run_once(self) -> int:
        """Make what is due, and return how many messages that were."""
        vendor = private_vendor()
        try:
            synchronise()
            return tick(vendor)
        finally:
            vendor.connection.close()

    def end(self) -> None:
        """Stop beating; safe from every thread and from signal handlers."""
        self._ended.set()

    def _run_connected(self) -> None:
        vendor = private_vendor()
        self._sign.begin()
        self._sign_at = 0.0
        try:
            self.deadline.begin(vendor)
            self._beat(vendor)
        # Whatever it was: nobody would notice that nothing is sent any more.
        except Exception as error:
            level = logging.WARNING if isinstance(error, Error) else logging.ERROR
            logger.log(level, "beat: %s", printable(str(error).strip(), 500), exc_info=level == logging.ERROR)
            self._ended.wait(random.uniform(0.5, 1.0) * self._pause)
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
        finally:
            self.deadline.end()
            close(vendor)

    def _beat(self, vendor: Vendor) -> None:
        if not self._has_begun:
            with vendor.bound():
                synchronise()
            # Not after each outage: by then there may be newer code than ours.
            self._has_begun = True
        with vendor.listen(SCHEDULES_CHANNEL) as listener:
            while not self._ended.is_set():
                self.deadline.begin(vendor)
                self._give_sign(vendor)
                tick(vendor, lambda: self.deadline.begin(vendor))
                self._purge(vendor)
                rest = seconds_until_next(vendor)
                self.deadline.end()
                self._pause = FIRST_PAUSE
                self._wait(listener, self.max_interval if rest is None else min(rest, self.max_interval))
        self._sign.end(vendor)

    def _wait(self, listener: Listener, rest: float) -> None:
        looked_at = time.monotonic()
        until = looked_at + max(SHORTEST_REST, rest)
        while not self._ended.is_set() and (left := until - time.monotonic()) > 0:
            # Elsewhere than on PostgreSQL everything that is written is heard.
            if listener.wait(min(left, HEAR_SECONDS)):
                until = min(until, looked_at + HEAR_SECONDS)

    def _give_sign(self, vendor: Vendor) -> None:
        if time.monotonic() < self._sign_at:
            return
        self._sign_at = time.monotonic() + SIGN_OF_LIFE_SECONDS
        self._sign.give(vendor, {})
        with vendor.bound():
            vendor.beats().filter(last_seen__lt=Now() - timedelta(seconds=2 * VANISHED_SECONDS)).delete()

    def _purge(self, vendor: Vendor) -> None:
        """Delete a batch of old slots; when there are more, soon another."""
        if time.monotonic() < self._purge_at:
            return
        self._purge_at = time.monotonic() + PURGE_SECONDS
        if (kept := settings.slots_expire_seconds) is not None:
            with vendor.bound():
                slots = Slot.objects.using(vendor.alias)
                old = slots.filter(made_at__lt=Now() - timedelta(seconds=kept)).values_list("pk", flat=True)
                if slots.filter(pk__in=list(old[:PURGE_BATCH]))._raw_delete(vendor.alias) == PURGE_BATCH:
                    self._purge_at = 0.0


def close(vendor: Vendor) -> None:
    """Close a connection that may be broken."""
    try:
        vendor.connection.close()
    except Error:
        logger.debug("the broken connection could not be closed", exc_info=True)


class embedded:
    """While this is entered, a beat runs in a thread of this process."""

    def __init__(self, beat: Beat) -> None:
        self.beat = beat
        self._thread = threading.Thread(target=beat.run, name="djtasks-beat", daemon=True)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self.beat

    def __exit__(self, *exc_info: object) -> None:
        self.beat.end()
        self._thread.join(timeout=5)
