"""Pools of child processes: ``processes`` has many with one slot each, ``threads`` one with many slots.

Children are new interpreters, so that no socket or lock is inherited, and bodies never run beside the thread that
renews leases.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from djtasks.domain.messages import Reservation, Token
from djtasks.worker.execution import Holder
from djtasks.worker.pools.base import Ended, Event, Pool
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
        self.runs_abreast = slots_per_child == 1
        self.max_tasks = max_tasks_per_child
        self.max_memory = max_memory_per_child
        self._children: list[Process] = []
        self._events: list[Event] = []
        self._next_start = 0.0
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.alarm, selectors.EVENT_READ, None)

    def start(self) -> None:
        while sum(child.slots for child in self._children if not child.retiring) < self.slots:
            self._start_child(self.slots_per_child)

    def pids(self) -> list[int]:
        return [child.popen.pid for child in self._children]

    def is_busy(self) -> bool:
        return any(child.window for child in self._children)

    def is_starting(self) -> bool:
        return not all(child.ready for child in self._children)

    def room(self, depth: int) -> int:
        return sum(child.room(depth) for child in self._children if child.slots == self.slots_per_child)

    def begun(self) -> list[Token]:
        return [token for child in self._children for token in child.begun()]

    def submit(self, messages: Sequence[Reservation], depth: int = 1) -> None:
        takers = [child for child in self._children if child.slots == self.slots_per_child and child.room(depth)]
        shares: list[list[Reservation]] = [[] for _ in takers]
        # The emptiest first, so that every slot has work before one has two.
        emptiest = [(len(child.window), number, child.room(depth)) for number, child in enumerate(takers)]
        heapify(emptiest)
        for message in messages:
            filled, number, room = heappop(emptiest)
            shares[number].append(message)
            if room > 1:
                heappush(emptiest, (filled + 1, number, room - 1))
        for child, share in zip(takers, shares, strict=True):
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
        if not self._closing and time.monotonic() >= self._next_start:
            self.start()
        self._watch()
        for key, mask in self._selector.select(0 if self._events else timeout):
            if key.data is None:
                self.alarm.silence()
                continue
            if mask & selectors.EVENT_WRITE:
                key.data.flush()
            if mask & selectors.EVENT_READ:
                self._read(key.data)
        for child in list(self._children):
            # A grandchild may hold the socket open: the exit status is the other witness of a death.
            if child.popen.poll() is not None and child.channel.fileno() >= 0:
                self._bury(child)
        events, self._events = self._events, []
        return events

    def _read(self, child: Process) -> None:
        if (events := child.read()) is None:
            self._bury(child)
        else:
            self._events += events

    def _watch(self) -> None:
        """Wait for the sockets to take more only where something is left to be sent."""
        for child in self._children:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.channel.is_stuffed else 0)
            if self._selector.get_key(child.channel).events != events:
                self._selector.modify(child.channel, events, child)

    def _bury(self, child: Process) -> None:
        """Take leave of a child that is gone: read what it still said, and report what it had."""
        if child.channel.fileno() < 0:
            return
        self._selector.unregister(child.channel)
        self._children.remove(child)
        self._events += child.bury()
        if not child.retiring and not self._closing:
            logger.error("%s; %d messages were in it", child.epitaph(), len(child.window))
            if not child.ready:
                # One that cannot even start must not be started in a tight loop.
                self._next_start = time.monotonic() + RESTART_SECONDS

    def _start_child(self, slots: int) -> None:
        child = Process(slots, self.holder, self.max_tasks, self.max_memory)
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
        if child and child.slots == 1 and next(iter(child.window)) == token:
            child.popen.kill()
        elif child:
            child.tell("lost", *token)

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
        self.alarm.close()
        return [event for event in self._events if isinstance(event, Ended)]

    def _child_of(self, token: Token) -> Process | None:
        return next((child for child in self._children if token in child.window), None)
