"""A child process as the supervisor sees it."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import from_wire
from djtasks.worker.execution import Holder
from djtasks.worker.logs import level_name
from djtasks.worker.pools.base import Ended, Event, Lost, Returned
from djtasks.worker.wire import Channel

logger = logging.getLogger("djtasks.worker.pool")


class Process:
    """A new interpreter with a socket to it; its window holds its messages in the order in which it begins them."""

    def __init__(self, slots: int, holder: Holder, max_tasks: int | None, max_memory: int | None) -> None:
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.slots = slots
        self.window: dict[Token, Reservation] = {}
        self.ready = False
        self.retiring = False
        self.taken = 0
        self.max_tasks = max_tasks
        self.max_memory = max_memory
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
        self.channel.post("start", slots, holder.worker_id, holder.hostname, max_memory is not None, level_name())

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
        if messages:
            self.tell("run", [list(message) for message in messages], clock)

    def tell(self, *frame: object) -> None:
        """Send a frame to a child that may be gone."""
        try:
            self.channel.post(*frame)
        except OSError:
            logger.debug("child %d is gone", self.popen.pid)

    def flush(self) -> None:
        """Send more of what it has not yet read."""
        with suppress(OSError):
            self.channel.flush()

    def begun(self) -> list[Token]:
        """Return what can have begun: the first of its window, one for each slot."""
        return list(self.window)[: self.slots]

    def read(self) -> list[Event] | None:
        """Return what it has to say, waiting for the first of it; None when it is gone."""
        frames = self.channel.receive()
        if frames is None:
            return None
        return [event for verb, *rest in frames if (event := self._understand(verb, rest))]

    def _understand(self, verb: str, rest: list[Any]) -> Event | None:
        event: Event | None = None
        memory = 0
        match verb:
            case "ready":
                self.ready = True
            case "ended":
                message_id, deliveries, outcome, started_at, seconds, waits, memory = rest
                event = Ended(Token(message_id, deliveries), from_wire(outcome), started_at, seconds, waits)
                if not waits:
                    self.window.pop(event.token, None)
            case "done":
                self.window.pop(Token(*rest), None)
            case "returned":
                event = Returned([token for token in map(Token._make, rest[0]) if self.window.pop(token, None)])
                self.taken -= len(event.tokens)
        self._retire_if_worn(memory)
        return event

    def _retire_if_worn(self, memory: int) -> None:
        """Take no more when the share is done: give back what has not begun, and go when nothing is left."""
        done = self.taken - len(self.window)
        worn = (self.max_tasks and done >= self.max_tasks) or (self.max_memory and memory > self.max_memory)
        if worn and not self.retiring:
            self.retiring = True
            self.tell("recall")
        if self.retiring and not self.window:
            self.tell("stop")

    def bury(self) -> list[Event]:
        """Take leave of a child that is gone: return what it still said, and what died with it."""
        self.channel.sock.setblocking(False)
        events: list[Event] = []
        with suppress(BlockingIOError, ValueError):
            while (said := self.read()) is not None:
                events += said
        self.channel.close()
        self.popen.kill()
        self.popen.wait()
        if self.window:
            events.append(Lost(self.begun(), list(self.window)[self.slots :], self.epitaph()))
        return events

    def epitaph(self) -> str:
        """Say how it died."""
        status = self.popen.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        return f"pool process {self.popen.pid} {how}"
