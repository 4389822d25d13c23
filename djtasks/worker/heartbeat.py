"""The thread that renews leases, listens for announcements and gives the worker's sign of life."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import Error, connections
from django.db.models.functions import Now

from djtasks.broker.purge import BATCH, purge_results
from djtasks.broker.renew import renew
from djtasks.broker.vendors import Listener, Vendor, private_vendor
from djtasks.broker.vendors.base import MESSAGES_CHANNEL
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.messages import Token
from djtasks.models import Worker

logger = logging.getLogger("djtasks.worker")
SIGN_OF_LIFE_SECONDS = 30.0
PURGE_SECONDS = 60.0
PAUSE_SECONDS = 1.0
BREATH_SECONDS = 0.1


class Heartbeat(threading.Thread):
    """Beats on a connection of its own, so that neither a long statement nor a long body can stop it."""

    def __init__(
        self,
        worker: dict[str, Any],
        *,
        tokens: Callable[[float], list[Token]],
        announced: Callable[[], None],
        lost: Callable[[list[Token]], None],
    ) -> None:
        super().__init__(name="djtasks-heartbeat", daemon=True)
        self.worker = worker
        self.listening = True
        self._tokens = tokens
        self._announced = announced
        self._lost = lost
        self._ended = threading.Event()
        now = time.monotonic()
        self._renew_at = now + self._interval
        self._sign_at = now
        self._purge_at = now + random.uniform(0, PURGE_SECONDS)

    @property
    def _interval(self) -> float:
        return settings.LEASE_SECONDS / 3

    def run(self) -> None:
        """Beat until told to end; the database may come and go."""
        while not self._ended.is_set():
            vendor = private_vendor()
            # The worker's row is written through the ORM, on the same connection.
            connections[settings.DATABASE] = vendor.connection
            try:
                self._beat(vendor)
            # Whatever it was: without this thread every lease would run out under a worker that seems well.
            except Exception as error:
                level = logging.DEBUG if isinstance(error, Error) else logging.ERROR
                logger.log(level, "heartbeat: %s", payloads.printable(str(error).strip(), 500), exc_info=True)
                self._ended.wait(random.uniform(0.5, 1.0) * min(PAUSE_SECONDS, settings.LEASE_SECONDS / 10))
            finally:
                self._close(vendor)

    def _beat(self, vendor: Vendor) -> None:
        self._sign_at = self._renew_at = time.monotonic()
        with vendor.listen(MESSAGES_CHANNEL) as listener:
            self._announced()
            while not self._ended.is_set():
                self._wait(listener)
                now = time.monotonic()
                if now >= self._renew_at:
                    self._renew_at = now + self._interval
                    self._renew(vendor)
                if now >= self._sign_at:
                    self._sign_at = now + SIGN_OF_LIFE_SECONDS
                    self._sign()
                if now >= self._purge_at:
                    more = purge_in_turn(vendor, self.worker["id"], time.time())
                    self._purge_at = now + (BREATH_SECONDS if more else PURGE_SECONDS)
        Worker.objects.using(settings.DATABASE).filter(pk=self.worker["id"]).delete()

    def _wait(self, listener: Listener) -> None:
        rest = min(self._renew_at, self._sign_at, self._purge_at) - time.monotonic()
        heard = listener.wait(max(0.0, min(rest, 0.5)))
        if heard is None or heard:
            self._announced()

    def _renew(self, vendor: Vendor) -> None:
        tokens = self._tokens(self._interval / 2)
        if not tokens:
            return
        renewed = renew(vendor, tokens, settings.LEASE_SECONDS)
        if lost := set(tokens) - renewed.held:
            self._lost(sorted(lost))

    def _sign(self) -> None:
        workers = Worker.objects.using(settings.DATABASE)
        seen = {"seen_at": Now(), "listening": self.listening}
        if not workers.filter(pk=self.worker["id"]).update(**seen):
            workers.create(**self.worker)

    def listen(self, listening: bool) -> None:
        """Say whether enqueuers should announce: a worker that is always busy needs no waking."""
        if listening is not self.listening:
            self.listening = listening
            self._sign_at = 0.0

    def end(self) -> None:
        """Stop beating and take the worker's row away."""
        self._ended.set()

    def _close(self, vendor: Vendor) -> None:
        try:
            vendor.connection.close()
        except Error:
            logger.debug("the broken connection could not be closed", exc_info=True)


def purge_in_turn(vendor: Vendor, worker_id: str, now: float) -> bool:
    """Delete a batch of expired results if it is this worker's minute; say whether more may be left.

    No more than a batch: between two of them leases are renewed.
    """
    vendor.vanished_workers().delete()
    alive = [str(pk) for pk in Worker.objects.using(settings.DATABASE).order_by("pk").values_list("pk", flat=True)]
    if not alive or alive[int(now / PURGE_SECONDS) % len(alive)] != worker_id:
        return False
    return purge_results(vendor, pause=lambda: False) == BATCH
