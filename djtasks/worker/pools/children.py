"""Pools of child processes: ``processes`` has many with one slot each, ``threads`` and ``eventloop`` one with many.

Children are new interpreters, so that no socket or lock is inherited, and bodies never run beside the thread that
renews leases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import inf

from djtasks.domain.messages import Reservation, Token
from djtasks.worker.execution import Holder
from djtasks.worker.pools.base import Ended, Event, Pool
from djtasks.worker.pools.process import Process, Share
from djtasks.worker.pools.processes import Processes


class ChildPool(Pool):
    """Keeps the wanted number of children alive and deals messages out to them."""

    def __init__(self, slots: int, holder: Holder, kind: str, share: Share) -> None:
        super().__init__(slots, holder)
        self.kind = kind
        self.runs_abreast = kind == "processes"
        self._children = Processes(self.alarm, holder, share)

    def fileno(self) -> int:
        return self._children.fileno()

    def flush(self) -> None:
        self._children.watch()

    def start(self) -> None:
        for _ in range((self.slots if self.runs_abreast else 1) - len(self._serving())):
            self._children.start(self.kind, 1 if self.runs_abreast else self.slots)

    def _serving(self) -> list[Process]:
        return [child for child in self._children if not child.retiring and not child.alone]

    def pid_of(self, token: Token) -> int | None:
        child = self._child_of(token)
        return None if child is None else child.popen.pid

    def pids(self) -> list[int]:
        return [child.popen.pid for child in self._children]

    def is_busy(self) -> bool:
        return any(child.window for child in self._children)

    def is_starting(self) -> bool:
        return not all(child.ready for child in self._children)

    def room(self, depth: int) -> int:
        return sum(child.room(depth) for child in self._children if not child.alone)

    def begun(self) -> Mapping[Token, float]:
        # In a child that does not react nothing runs but what keeps it from that.
        reacting = [child for child in self._children if child.patience_ends_at == inf]
        return {token: since for child in reacting for token, since in child.window.running.items()}

    def submit(self, messages: Sequence[Reservation], depth: int = 1) -> None:
        takers = [child for child in self._children if not child.alone and child.room(depth)]
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
            if child.kind == "processes" and child.usable and not child.window:
                child.send([message], self.holder.clock)
                return True
        if self.kind != "processes" and not any(child.alone and not child.retiring for child in self._children):
            self._children.start("processes", 1, alone=True)
        return False

    def wait(self, timeout: float) -> list[Event]:
        if self._children.may_start:
            self.start()
        return self._children.wait(timeout)

    def settled(self, token: Token, written: bool) -> None:
        if child := self._child_of(token):
            child.tell("settled", *token, written)

    def recall(self) -> None:
        for child in self._children:
            if len(child.window) > child.window.slots:
                child.tell("recall")

    def abandon(self, token: Token) -> None:
        child = self._child_of(token)
        if child and child.kind == "processes":
            child.terminate(token, "SIGKILL")
        elif child:
            child.tell("lost", *token)

    def tell_revoked(self, token: Token) -> None:
        if child := self._child_of(token):
            child.tell("revoked", *token)

    def interrupt(self, token: Token) -> None:
        if child := self._child_of(token):
            child.interrupt(token)

    def terminate(self, token: Token, signal: str = "SIGKILL") -> None:
        if child := self._child_of(token):
            child.terminate(token, signal)

    def resize(self, slots: int) -> None:
        self.slots = slots
        if self.runs_abreast:
            # The idle first: what runs is never ended for this.
            for child in sorted(self._serving(), key=lambda child: (child.ready, len(child.window)))[:-slots]:
                child.retire()
        else:
            for child in self._serving():
                child.resize(slots)

    def restart(self) -> None:
        for child in self._children:
            child.retire()

    def warn(self) -> None:
        self._children.closing = True
        for child in self._children:
            child.tell("stopping")

    def close(self) -> list[Ended]:
        self._children.close()
        self.alarm.close()
        return [event for event in self._children.events if isinstance(event, Ended)]

    def _child_of(self, token: Token) -> Process | None:
        return next((child for child in self._children if token in child.window), None)
