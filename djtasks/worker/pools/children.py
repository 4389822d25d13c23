"""Pools of child processes: ``processes`` has many with one slot each, ``threads`` one with many slots.

Children are new interpreters, so that no socket or lock is inherited, and bodies never run beside the thread that
renews leases.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import from_wire
from djtasks.worker.execution import Holder
from djtasks.worker.pools.base import Ended, Event, Pool, Returned
from djtasks.worker.pools.process import Process

logger = logging.getLogger("djtasks.worker.pool")
RESTART_SECONDS = 1.0


class ChildPool(Pool):
    """Keeps the wanted number of children alive and deals messages out to them."""

    def __init__(
        self,
        slots: int,
        holder: Holder,
        *,
        slots_per_child: int = 1,
        max_tasks_per_child: int | None = None,
        max_memory_per_child: int | None = None,
    ) -> None:
        super().__init__(slots, holder)
        self.slots_per_child = slots_per_child
        self.max_tasks = max_tasks_per_child
        self.max_memory = max_memory_per_child
        self._children: list[Process] = []
        self._events: list[Event] = []
        self._next_start = 0.0
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)

    @property
    def wake_fd(self) -> int:
        """The file number that wakes ``wait``, for ``signal.set_wakeup_fd``."""
        return self._wake_writer.fileno()

    def start(self) -> None:
        while sum(child.slots for child in self._children if not child.retiring) < self.slots:
            self._start_child(self.slots_per_child)

    def pids(self) -> list[int]:
        """Return the process ids of the children."""
        return [child.popen.pid for child in self._children]

    def idle(self) -> int:
        return self.room(1)

    def is_busy(self) -> bool:
        return any(child.window for child in self._children)

    def room(self, depth: int) -> int:
        return sum(child.room(depth) for child in self._children if child.slots == self.slots_per_child)

    def begun(self) -> list[Token]:
        return [token for child in self._children for token in child.begun()]

    def submit(self, messages: Sequence[Reservation], depth: int = 1) -> None:
        shares: dict[Process, list[Reservation]] = {
            child: [] for child in self._children if child.slots == self.slots_per_child
        }
        rooms = {child: child.room(depth) for child in shares}
        for message in messages:
            # The emptiest first, so that every slot has work before one has two.
            takers = [child for child in shares if len(shares[child]) < rooms[child]]
            emptiest = min(takers, key=lambda child: len(child.window) + len(shares[child]))
            shares[emptiest].append(message)
        for child, share in shares.items():
            if share:
                child.send(share, self.holder.clock)

    def submit_alone(self, message: Reservation) -> bool:
        for child in self._children:
            if child.slots == 1 and child.usable and not child.window:
                child.send([message], self.holder.clock)
                return True
        if self.slots_per_child > 1 and not any(child.slots == 1 for child in self._children):
            self._start_child(1)
        return False

    def wait(self, timeout: float) -> list[Event]:
        self._replace()
        for key, _ in self._selector.select(0 if self._events else timeout):
            if key.data is None:
                self._drain_wakes()
            else:
                self._read(key.data)
        for child in list(self._children):
            # A grandchild may hold the socket open: the exit status is the other witness of a death.
            if child.popen.poll() is not None and child.channel.fileno() >= 0:
                self._bury(child)
        events, self._events = self._events, []
        return events

    def _drain_wakes(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_reader.recv(4096):
                pass

    def wake(self) -> None:
        # It may be full, and will wake in any case, or closed, and nobody waits any more.
        with suppress(OSError):
            self._wake_writer.send(b"w")

    def _read(self, child: Process) -> None:
        frames = child.channel.receive()
        if frames is None:
            self._bury(child)
            return
        for verb, *rest in frames:
            match verb:
                case "ended":
                    self._ended(child, *rest)
                case "done":
                    child.window.pop(Token(*rest), None)
                    self._retire_if_worn(child)
                case "returned":
                    tokens = [Token(*token) for token in rest[0]]
                    known = [token for token in tokens if child.window.pop(token, None)]
                    child.taken -= len(known)
                    self._events.append(Returned(known))
                    self._retire_if_worn(child)
                case "ready":
                    child.ready = True

    def _ended(
        self,
        child: Process,
        message_id: str,
        deliveries: int,
        outcome: list[object],
        started_at: float | None,
        seconds: float,
        waits: bool,
        memory: int,
    ) -> None:
        token = Token(message_id, deliveries)
        if not waits:
            child.window.pop(token, None)
        self._events.append(Ended(token, from_wire(outcome), started_at, seconds, waits))
        self._retire_if_worn(child, memory)

    def _retire_if_worn(self, child: Process, memory: int = 0) -> None:
        """Replace a child that has done its share: it gives back what it has not begun, and goes when it is empty."""
        done = child.taken - len(child.window)
        worn = (self.max_tasks and done >= self.max_tasks) or (self.max_memory and memory > self.max_memory)
        if worn and not child.retiring:
            child.retiring = True
            child.tell("recall")
        if child.retiring and not child.window:
            child.tell("stop")

    def _bury(self, child: Process) -> None:
        """Take leave of a child that is gone: read what it still said, and report what it had."""
        if child.channel.fileno() < 0:
            return
        self._selector.unregister(child.channel)
        child.channel.sock.setblocking(False)
        try:
            while (frames := child.channel.receive()) is not None:
                for verb, *rest in frames:
                    if verb == "ended":
                        self._ended(child, *rest)
        except (BlockingIOError, ValueError):
            pass
        child.channel.close()
        child.popen.kill()
        status = child.popen.wait()
        self._children.remove(child)
        reason = f"pool process {child.popen.pid} was killed by signal {-status}" if status < 0 else ""
        reason = reason or f"pool process {child.popen.pid} exited with status {status}"
        if child.window:
            self._events.append(child.lost(reason))
        if not child.retiring and not self._closing:
            logger.error("%s; %d messages were in it", reason, len(child.window))
            if not child.ready:
                # One that cannot even start must not be started in a tight loop.
                self._next_start = time.monotonic() + RESTART_SECONDS

    def _replace(self) -> None:
        if not self._closing and time.monotonic() >= self._next_start:
            self.start()

    def _start_child(self, slots: int) -> None:
        child = Process(slots, self.holder, self.max_tasks, self.max_memory is not None)
        self._children.append(child)
        self._selector.register(child.channel, selectors.EVENT_READ, child)

    def settled(self, token: Token, written: bool) -> None:
        if child := self._child_of(token):
            child.tell("settled", *token, written)

    def recall(self) -> None:
        for child in self._children:
            if len(child.window) > child.slots:
                child.tell("recall")

    def abandon(self, token: Token) -> None:
        child = self._child_of(token)
        if child is None:
            return
        if child.slots == 1 and next(iter(child.window)) == token:
            child.popen.kill()

    def warn(self) -> None:
        self._closing = True
        for child in self._children:
            child.tell("stopping")

    def close(self) -> list[Ended]:
        self._closing = True
        for child in list(self._children):
            child.popen.kill()
        for child in list(self._children):
            self._bury(child)
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()
        events, self._events = self._events, []
        return [event for event in events if isinstance(event, Ended)]

    def _child_of(self, token: Token) -> Process | None:
        return next((child for child in self._children if token in child.window), None)
