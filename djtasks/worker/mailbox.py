"""The commands to this worker: its heartbeat's thread reads and answers them, its main thread performs them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

from djtasks.broker import commands
from djtasks.broker.vendors import Vendor
from djtasks.models import Command

Perform = Callable[[str, Any], tuple[Any, bool]]
EAGER_SECONDS = 5.0
# How often to look although nothing was announced, where announcements are made: one may be lost.
QUIET_SECONDS = 5.0


class Mailbox:
    """Hands commands to the thread that owns pool and intake, and its answers to the thread that has time to write."""

    def __init__(self, worker_id: str, arrived: Callable[[], None] = lambda: None) -> None:
        self.worker_id = worker_id
        self._arrived = arrived
        # What else is to be read whenever commands are.
        self.besides: Callable[[Vendor], None] = lambda vendor: None
        self._taken: set[UUID] = set()
        self._inbox: deque[Command] = deque()
        self._outbox: deque[tuple[UUID, Any, bool]] = deque()
        self._eager_until = self._read_at = 0.0

    # What the heartbeat's thread calls

    def expect(self) -> None:
        """Note that something was announced."""
        self._read_at = 0.0

    def look(self, vendor: Vendor, *, hears: bool = False) -> None:
        """Read the commands that nobody has taken; whoever hears of them looks rarely by itself."""
        now = time.monotonic()
        if now < self._read_at:
            return
        self._read_at = now + QUIET_SECONDS if hears else 0.0
        self.besides(vendor)
        new = [command for command in commands.unanswered(vendor, self.worker_id) if command.pk not in self._taken]
        if new:
            self._taken |= {command.pk for command in new}
            self._eager_until = now + EAGER_SECONDS
            self._inbox.extend(new)
            self._arrived()

    def write(self, vendor: Vendor) -> None:
        """Write the answers that are there; one that cannot be written now stays."""
        while self._outbox:
            command, value, failed = self._outbox[0]
            commands.answer(vendor, command, value, failed)
            self._outbox.popleft()
            self._taken.discard(command)

    @property
    def is_eager(self) -> bool:
        """Whether an answer is to be written any moment; it may take as long as a body where bodies run here."""
        return bool(self._taken) and time.monotonic() < self._eager_until

    # What the main thread calls

    def perform(self, perform: Perform) -> None:
        """Do what has arrived."""
        while self._inbox:
            command = self._inbox.popleft()
            self._outbox.append((command.pk, *perform(command.verb, command.arguments)))
