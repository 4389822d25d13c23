"""Inside a pool child: messages are read from its socket, their bodies run, and their outcomes written.

A thread of its own reads the socket, so that what has not begun can be given back while a long body runs.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import to_wire
from djtasks.worker.execution import Holder, Run, execute
from djtasks.worker.interruption import Body, MainThreadBody, ThreadBody
from djtasks.worker.notes import Notes
from djtasks.worker.wire import Channel

logger = logging.getLogger("djtasks.worker.pool")


class Child(ABC):
    """One pool child with its slots, and what the supervisor may say to it."""

    def __init__(
        self,
        channel: Channel,
        frames: Iterator[list[Any]],
        slots: int,
        worker_id: str,
        hostname: str,
        reports_memory: bool,
    ) -> None:
        self.channel = channel
        self.frames = frames
        self.slots = slots
        self.reports_memory = reports_memory
        notes = Notes(lambda token, text: channel.send("note", *token, text))
        self.holder = Holder(worker_id, hostname, note=notes.put)
        self.bodies: dict[Token, Body] = {}
        self._interrupted: set[Token] = set()
        self.confirmations: dict[Token, Callable[[bool], None]] = {}

    def run(self) -> None:
        """Work until the supervisor says stop or is gone."""
        threading.Thread(target=self._read, name="djtasks-reader", daemon=True).start()
        self.channel.send("ready")
        self.serve()

    @abstractmethod
    def serve(self) -> None:
        """Run what was taken until there are no slots any more."""

    @abstractmethod
    def take(self, message: Reservation) -> None:
        """Take a message for the next free slot."""

    @abstractmethod
    def give_back(self) -> list[Token]:
        """Return what has not begun."""

    @abstractmethod
    def resize(self, slots: int) -> None:
        """Have so many slots from now on, or as soon as bodies end; without any the child ends."""

    @abstractmethod
    def abandon(self, token: Token) -> None:
        """Leave a run to itself, have another slot in the place of its own, and say so."""

    def _read(self) -> None:
        try:
            for verb, *rest in self.frames:
                self._understand(verb, rest)
        # Such as that no thread can be started any more: a child that does not listen is of no use.
        except BaseException:
            logger.exception("the pool process does not understand its supervisor")
        # Else the supervisor is gone, and with it whoever renews our leases.
        os._exit(1)

    def _understand(self, verb: str, rest: list[Any]) -> None:
        match verb:
            case "run":
                messages, self.holder.clock = rest
                for message in messages:
                    self.take(Reservation._make(message))
            case "recall":
                self.send_back(self.give_back())
            case "settled":
                message_id, deliveries, written = rest
                if confirm := self.confirmations.get(Token(message_id, deliveries)):
                    confirm(written)
            case "lost":
                self.holder.lost.add(Token(*rest))
            case "revoked":
                self.holder.revoked.add(Token(*rest))
            case "interrupt":
                self._interrupted.add(Token(*rest))
                self._interrupt(Token(*rest))
            case "terminate":
                # Also for one that has not begun: it comes back when its turn comes.
                self.holder.lost.add(Token(*rest))
                self.abandon(Token(*rest))
            case "stopping":
                self.holder.stopping.set()
            case "resize":
                self.resize(*rest)
            case "stop":
                self.resize(0)

    def send_back(self, tokens: list[Token]) -> None:
        """Say that these have not begun and are not going to."""
        self.channel.send("returned", list(map(list, tokens)))

    def register(self, token: Token, body: Body) -> None:
        """Let a body be interrupted and abandoned from now on; it may have been interrupted before it could begin."""
        self.bodies[token] = body
        self._interrupt(token)

    def _interrupt(self, token: Token) -> None:
        # The reader and the thread of the body may both come here; whoever takes it out does it.
        if token in self._interrupted and (body := self.bodies.get(token)) is not None:
            with suppress(KeyError):
                self._interrupted.remove(token)
                body.interrupt()

    def forget(self, token: Token) -> None:
        """Let go of what was said about a run that is over."""
        self._interrupted.discard(token)
        self.holder.lost.discard(token)
        self.holder.revoked.discard(token)

    def tell(self, message: Reservation, run: Run) -> None:
        """Say how a body ended."""
        memory = resident_kib() if self.reports_memory else 0
        waits = run.after is not None
        self.channel.send("ended", *message[:2], to_wire(run.outcome), run.started_at, run.seconds, waits, memory)


class ProcessChild(Child):
    """A child whose only slot is its main thread; the supervisor ends its run by ending the process."""

    make_body: ClassVar[type[Body]] = MainThreadBody

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.inbox: queue.SimpleQueue[Reservation | None] = queue.SimpleQueue()

    def serve(self) -> None:
        MainThreadBody.listen()
        self._serve()

    def take(self, message: Reservation) -> None:
        self.inbox.put(message)

    def give_back(self) -> list[Token]:
        taken: list[Reservation | None] = []
        with suppress(queue.Empty):
            while True:
                taken.append(self.inbox.get_nowait())
        for _ in range(taken.count(None)):
            self.inbox.put(None)
        return [message.token for message in taken if message is not None]

    def resize(self, slots: int) -> None:
        self.slots = slots
        self.inbox.put(None)

    def abandon(self, token: Token) -> None:
        """Nothing: where this is said, the body has not begun, or has ended."""

    def _is_wanted(self) -> bool:
        """Say whether the slot that asks is one of those that there are to be."""
        return self.slots > 0

    def _serve(self) -> None:
        while self._is_wanted():
            message = self.inbox.get()
            if message is not None and not self._run(message):
                break

    def _run(self, message: Reservation) -> bool:
        """Run a message; say whether the slot is still wanted afterwards."""
        goes_on = True
        if message.token in self.holder.lost:
            self.send_back([message.token])
        else:
            goes_on = self._execute(message)
        self.forget(message.token)
        return goes_on

    def _execute(self, message: Reservation) -> bool:
        token = message.token
        body = self.make_body()
        body.begin()
        self.register(token, body)
        run = execute(message, self.holder, body)
        # Whoever takes it away decides: this thread, or the reader that abandons it.
        if self.bodies.pop(token, None) is None:
            body.end()
            return False
        if run.after is None:
            self.tell(message, run)
            return True
        confirmation: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.confirmations[token] = confirmation.put
        self.tell(message, run)
        if confirmation.get():
            run.after()
        del self.confirmations[token]
        self.channel.send("done", *token)
        return True


class ThreadsChild(ProcessChild):
    """A child with a thread for each slot; one whose run does not end is left to it, and another takes its place."""

    make_body = ThreadBody

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self._lock = threading.Lock()
        self._serving = 0
        self._all_left = threading.Event()

    def serve(self) -> None:
        self.resize(self.slots)
        self._all_left.wait()

    def resize(self, slots: int) -> None:
        with self._lock:
            self.slots = slots
            missing = slots - self._serving
            self._serving += max(0, missing)
        for _ in range(missing):
            self._start_thread()
        for _ in range(-missing):
            self.inbox.put(None)

    def abandon(self, token: Token) -> None:
        if (body := self.bodies.pop(token, None)) is not None:
            self._start_thread()
            body.abandon()
            self.channel.send("abandoned", *token)

    def _is_wanted(self) -> bool:
        with self._lock:
            if self._serving <= self.slots:
                return True
            self._serving -= 1
            if self._serving == 0:
                self._all_left.set()
            return False

    def _start_thread(self) -> None:
        # One that hangs must not keep the process from ending.
        threading.Thread(target=self._serve, name="djtasks-slot", daemon=True).start()


def resident_kib(pid: int | str = "self") -> int:
    """Return the resident memory of a process in KiB; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)
    except OSError:
        return 0
