"""The thread that renews leases, listens for announcements and gives the worker's sign of life."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import Error, connections

from djtasks import signals
from djtasks.broker.commands import purge_commands
from djtasks.broker.deadlines import Deadline
from djtasks.broker.purge import BATCH, purge_results
from djtasks.broker.renew import renew
from djtasks.broker.revoke import revoked
from djtasks.broker.vendors import Listener, Vendor, private_vendor
from djtasks.broker.vendors.base import CONTROL_CHANNEL, MESSAGES_CHANNEL
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.messages import Token
from djtasks.models import Worker
from djtasks.worker.mailbox import Mailbox
from djtasks.worker.notes import write_notes
from djtasks.worker.presence import Presence

logger = logging.getLogger("djtasks.worker")
SIGN_OF_LIFE_SECONDS = 30.0
# A worker that has just begun still grows, and what it takes by then is what people see.
YOUNG_SECONDS = 5.0
PURGE_SECONDS = 60.0
NOTE_SECONDS = 1.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 3.0
BREATH_SECONDS = 0.1
ANSWER_SECONDS = 0.01
SHORTEST_LOOK_SECONDS = 0.1
WATCH_SECONDS = 0.25


class Heartbeat(threading.Thread):
    """Beats on a connection of its own, so that neither a long statement nor a long body can stop it."""

    def __init__(
        self,
        worker: dict[str, Any],
        *,
        tokens: Callable[[float], list[Token]],
        announced: Callable[[], None],
        lost: Callable[[list[Token]], None],
        revoked: Callable[[dict[Token, str]], None],
        watch: Callable[[float], None] | None = None,
        notes: Callable[[], dict[Token, str]] = dict,
        noted: Callable[[dict[Token, str]], None] = lambda written: None,
        renewed: Callable[[float], None] = lambda began_at: None,
        memory: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(name="djtasks-heartbeat", daemon=True)
        self.presence = Presence(worker, memory)
        self.listening = True
        self._hears = self._said = False
        self._tokens = tokens
        self._announced = announced
        self._lost = lost
        self._revoked = revoked
        self._watch = watch
        self._notes = notes
        self._noted = noted
        # Whoever looks for what was announced finds commands, too.
        self.mailbox = Mailbox(worker["id"], announced)
        self._renewed = renewed
        self.deadline = Deadline()
        self._pause = FIRST_PAUSE
        self._ended = threading.Event()
        self.born_at = now = time.monotonic()
        self._renew_at = now + self._interval
        self._sign_at = now
        self._note_at = now
        self.purge_at = now + random.uniform(0, PURGE_SECONDS)
        self._look_at = self._looked_at = now

    @property
    def _id(self) -> str:
        return str(self.presence.row["id"])

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
                self._ended.wait(random.uniform(0.5, 1.0) * min(self._pause, settings.LEASE_SECONDS / 10))
                self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            finally:
                self.deadline.end()
                close(vendor)

    def _beat(self, vendor: Vendor) -> None:
        self._sign_at = self._renew_at = time.monotonic()
        self.presence.begin()
        self.deadline.begin(vendor)
        with vendor.listen(MESSAGES_CHANNEL, CONTROL_CHANNEL) as listener:
            self._hears = listener.hears
            self._announced()
            while not self._ended.is_set():
                self._wait(listener)
                self.deadline.begin(vendor)
                self.mailbox.write(vendor)
                now = time.monotonic()
                if self._watch is not None:
                    self._watch(now)
                if now >= self._renew_at:
                    self._renew_at = now + self._interval
                    self._renew(vendor)
                    signals.send(signals.heartbeat_sent, self)
                if now >= self._look_at:
                    self._look(vendor, now)
                if now >= self._note_at and (notes := self._notes()):
                    self._note_at = now + NOTE_SECONDS
                    self._noted(write_notes(vendor, notes))
                if now >= self._sign_at:
                    self._sign_at = now + min(SIGN_OF_LIFE_SECONDS, max(YOUNG_SECONDS, now - self.born_at))
                    self._sign(vendor)
                if now >= self.purge_at:
                    more = purge_in_turn(vendor, self._id, time.time())
                    self.purge_at = now + (BREATH_SECONDS if more else PURGE_SECONDS)
        self.mailbox.write(vendor)
        self.presence.end(vendor)

    def _wait(self, listener: Listener) -> None:
        rest = min(self._renew_at, self._sign_at, self.purge_at, self._look_at) - time.monotonic()
        longest = ANSWER_SECONDS if self.mailbox.is_eager else WATCH_SECONDS
        self.deadline.end()
        self._pause = FIRST_PAUSE
        for channel, payload in listener.wait(max(0.0, min(rest, longest))):
            if channel == CONTROL_CHANNEL:
                self._look_at = self._looked_at + SHORTEST_LOOK_SECONDS
                self.mailbox.expect()
            elif concerns(self._id, payload):
                self._announced()

    def _renew(self, vendor: Vendor) -> None:
        began_at = time.monotonic()
        tokens = self._tokens(self._interval / 2)
        if tokens and (lost := set(tokens) - renew(vendor, tokens, settings.LEASE_SECONDS)):
            self._lost(sorted(lost))
        self._renewed(began_at)

    def _sign(self, vendor: Vendor) -> None:
        listens = self.listening and self._hears
        self.presence.sign(vendor, listening=listens)
        if listens and not self._said:
            # Whoever sent something before it could read this has announced nothing.
            self._announced()
        self._said = listens

    def _look(self, vendor: Vendor, now: float) -> None:
        """Learn which of the held messages were revoked: of that, too, an announcement may be lost."""
        # What has just been received was not revoked a moment ago.
        held_for = min(now - self._looked_at, settings.POLL_SECONDS) / 2
        self._look_at, self._looked_at = now + settings.POLL_SECONDS, now
        if found := revoked(vendor, self._tokens(held_for)):
            self._revoked(found)
        self.mailbox.look(vendor, hears=self._hears)

    def listen(self, listening: bool) -> None:
        """Say whether enqueuers should announce: a worker that is always busy needs no waking."""
        if listening is not self.listening:
            self.listening = listening
            self._sign_at = 0.0

    def change(self, **facts: Any) -> None:
        """Say what has changed about the worker; its row follows."""
        self.presence.row.update(facts)
        self._sign_at = 0.0

    def end(self) -> None:
        """Stop beating and take the worker's row away."""
        self._ended.set()


def close(vendor: Vendor) -> None:
    """Close a connection that may be broken."""
    try:
        vendor.connection.close()
    except Error:
        logger.debug("the broken connection could not be closed", exc_info=True)


def concerns(worker_id: str, announcement: str) -> bool:
    """Say whether an announcement is for this worker: a queue's name alone is for all, else those are named who are."""
    _, *named = announcement.split(" ")
    return not named or worker_id in named


def purge_in_turn(vendor: Vendor, worker_id: str, now: float) -> bool:
    """Delete a batch of expired results if it is this worker's minute; say whether more may be left.

    No more than a batch: between two of them leases are renewed.
    """
    vendor.vanished_workers().delete()
    alive = [str(pk) for pk in Worker.objects.using(settings.DATABASE).order_by("pk").values_list("pk", flat=True)]
    if not alive or alive[int(now / PURGE_SECONDS) % len(alive)] != worker_id:
        return False
    purge_commands(vendor)
    return purge_results(vendor, pause=lambda: False) == BATCH
