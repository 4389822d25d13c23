"""A child process as the supervisor sees it."""

from __future__ import annotations

import logging
import os
import signal as signals
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple

from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import from_wire
from djtasks.worker.execution import Holder
from djtasks.worker.logs import choice
from djtasks.worker.pools.base import Ended, Event, Lost, Returned
from djtasks.worker.pools.window import Window
from djtasks.worker.wire import Channel

logger = logging.getLogger("djtasks.worker.pool")
REACTION_SECONDS = 5.0
SIGNAL_SECONDS = 1.0
LEAVING_SECONDS = 10.0


class Share(NamedTuple):
    """How much a process does before another takes its place: so many messages, or growing to so many KiB."""

    tasks: int | None = None
    memory: int | None = None

    def is_done(self, tasks: int, memory: int) -> bool:
        """Say whether that is enough."""
        return bool((self.tasks and tasks >= self.tasks) or (self.memory and memory > self.memory))


class Process:
    """A new interpreter with a socket to it; its window holds its messages in the order in which it begins them."""

    def __init__(self, kind: str, slots: int, holder: Holder, share: Share, *, alone: bool = False) -> None:
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.kind = kind
        self._note = holder.note
        self.alone = alone
        self.window = Window(slots)
        self._dies_at = inf
        self.ready = False
        self.retiring = False
        self.taken = 0
        self.share = share
        self.popen = _spawn(theirs)
        theirs.close()
        measured = share.memory is not None
        self.channel.post("start", kind, slots, holder.worker_id, holder.hostname, measured, choice())

    @property
    def usable(self) -> bool:
        """Whether it takes messages: not while it is to show that it still reacts."""
        return self.ready and not self.retiring and self.patience_ends_at == inf

    def room(self, depth: int) -> int:
        """Return how many more messages it takes."""
        room = self.window.slots * depth - len(self.window) if self.usable else 0
        return max(0, room if self.share.tasks is None else min(room, self.share.tasks - self.taken))

    def send(self, messages: Sequence[Reservation], clock: float) -> None:
        """Hand messages over; what a child cannot get because it is gone has not begun when it is buried."""
        if messages:
            self.taken += len(messages)
            arrives = self.tell("run", [list(message) for message in messages], clock)
            (self.window.add if arrives else self.window.strand)(messages)

    def tell(self, *frame: object) -> bool:
        """Send a frame to a child; say no when it is gone, which is noticed when its socket is read."""
        try:
            self.channel.post(*frame)
        except OSError:
            logger.debug("child %d is gone", self.popen.pid)
            return False
        return True

    def flush(self) -> None:
        """Send more of what it has not yet read."""
        with suppress(OSError):
            self.channel.flush()

    def interrupt(self, token: Token) -> None:
        """Raise SoftTimeLimitExceeded in a body."""
        if token in self.window.running:
            self.tell("interrupt", *token)

    def terminate(self, token: Token, signal: str) -> None:
        """End a run: with the process where it has that for itself, else by leaving it behind in there."""
        if token not in self.window.running:
            self.tell("lost", *token)
        elif self.kind == "processes":
            self.window.leave(token)
            self.retire()
            self.popen.send_signal(number_of(signal))
            self._dies_at = min(self._dies_at, time.monotonic() + SIGNAL_SECONDS)
        else:
            self.window.leave(token, time.monotonic() + REACTION_SECONDS)
            self.tell("terminate", *token)

    def retire(self) -> None:
        """Take no more, give back what has not begun, and go when nothing is left."""
        if not self.retiring:
            self.retiring = True
            self.tell("recall")
        self._leave_if_empty()

    def _leave_if_empty(self) -> None:
        if not self.window and self._dies_at == inf:
            self._dies_at = time.monotonic() + LEAVING_SECONDS
            self.tell("stop")

    def resize(self, slots: int) -> None:
        """Have so many slots."""
        self.window.slots = slots
        self.tell("resize", slots)
        self.window.fill()

    @property
    def patience_ends_at(self) -> float:
        """When it is to be killed, if it has not reacted or gone by then."""
        return min(self._dies_at, self.window.patience_ends_at)

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
                token = Token(message_id, deliveries)
                if not self.window.is_leaving(token):
                    event = Ended(token, from_wire(outcome), started_at, seconds, waits)
                (self.window.leave if waits else self.window.forget)(token)
            case "done" | "abandoned":
                self.window.forget(Token(*rest))
            case "note" if self._note is not None:
                self._note(Token(*rest[:2]), rest[2])
            case "returned":
                before = len(self.window)
                event = Returned([token for each in rest[0] if self.window.forget(token := Token(*each))])
                self.taken -= before - len(self.window)
        self.window.fill()
        self._retire_if_worn(memory)
        return event

    def _retire_if_worn(self, memory: int) -> None:
        if self.retiring:
            self._leave_if_empty()
        elif self.share.is_done(self.taken - len(self.window), memory):
            self.retire()

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
        # Of those that were to end anyway, nothing more is said.
        if self.window.running or self.window.unstarted:
            events.append(Lost(list(self.window.running), self.window.unstarted, self.epitaph()))
        return events

    def epitaph(self) -> str:
        """Say how it died."""
        status = self.popen.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        return f"pool process {self.popen.pid} {how}"


def _spawn(end: socket.socket) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "DJTASKS_CHILD_FD": str(end.fileno()),
        "DJTASKS_CHILD_PARENT": str(os.getpid()),
        "DJTASKS_CHILD_PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return subprocess.Popen([sys.executable, "-m", "djtasks.worker.child"], env=environment, pass_fds=[end.fileno()])


def number_of(signal: str) -> int:
    """Return the number of a signal, named with or without SIG; what names none is SIGKILL."""
    name = signal.upper()
    names = signals.Signals.__members__
    return int(names.get(name if name.startswith("SIG") else f"SIG{name}", signals.SIGKILL))
