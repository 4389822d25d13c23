"""A child process as the supervisor sees it."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from djtasks.domain.messages import Reservation, Token
from djtasks.worker.execution import Holder
from djtasks.worker.logs import level_name
from djtasks.worker.pools.base import Lost
from djtasks.worker.wire import Channel

logger = logging.getLogger("djtasks.worker.pool")


class Process:
    """A new interpreter with a socket to it; its window holds its messages in the order in which it begins them."""

    def __init__(self, slots: int, holder: Holder, max_tasks: int | None, reports_memory: bool) -> None:
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.slots = slots
        self.window: dict[Token, Reservation] = {}
        self.ready = False
        self.retiring = False
        self.taken = 0
        self.max_tasks = max_tasks
        environment = os.environ | {
            "DJTASKS_CHILD_FD": str(theirs.fileno()),
            "DJTASKS_CHILD_PARENT": str(os.getpid()),
            "DJTASKS_CHILD_PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "djtasks.worker.child"], env=environment, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self.channel.send("start", slots, holder.worker_id, holder.hostname, reports_memory, level_name())

    @property
    def usable(self) -> bool:
        """Whether it takes messages."""
        return self.ready and not self.retiring

    def room(self, depth: int) -> int:
        """Return how many more messages it takes."""
        if not self.usable:
            return 0
        room = self.slots * depth - len(self.window)
        return max(0, room if self.max_tasks is None else min(room, self.max_tasks - self.taken))

    def send(self, messages: Sequence[Reservation], clock: float) -> None:
        """Hand messages over; a child that is gone is noticed when its socket is read."""
        self.window.update((message.token, message) for message in messages)
        self.taken += len(messages)
        self.tell("run", [list(message) for message in messages], clock)

    def tell(self, *frame: object) -> None:
        """Send a frame to a child that may be gone."""
        try:
            self.channel.send(*frame)
        except OSError:
            logger.debug("child %d is gone", self.popen.pid)

    def begun(self) -> list[Token]:
        """Return what can have begun: the first of its window, one for each slot."""
        return list(self.window)[: self.slots]

    def lost(self, reason: str) -> Lost:
        """Say what died with it."""
        return Lost(self.begun(), list(self.window)[self.slots :], reason)
