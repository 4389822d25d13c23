"""The solo pool: one body at a time, in the supervisor's own main thread; for debuggers and small hosts.

Leases are renewed from a thread beside the body, which a body that never lets go of the interpreter starves.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from djtasks import signals
from djtasks.domain.messages import Reservation, Token
from djtasks.worker.execution import Holder, Run, execute
from djtasks.worker.interruption import SIGNAL, Body, MainThreadBody, ThreadBody
from djtasks.worker.pools.base import Ended, Event, Pool, Returned

TOGETHER_SECONDS = 0.010


class SoloPool(Pool):
    """Runs what it was given when it is waited for."""

    runs_here = True
    can_terminate = False

    def __init__(self, slots: int, holder: Holder) -> None:
        super().__init__(1, holder)
        self._inbox: deque[Reservation] = deque()
        self._events: list[Event] = []
        self._waiting: dict[Token, Run] = {}
        self._now: tuple[Token, float, Body] | None = None
        self._make_body: type[Body] = ThreadBody
        self._handler: Any = None
        self._started = False

    def start(self) -> None:
        # Only the main thread may ask for signals, and only there do they end what blocks.
        if threading.current_thread() is threading.main_thread():
            self._make_body, self._handler = MainThreadBody, MainThreadBody.listen()
        self._started = True
        signals.send(signals.worker_process_init, None)

    def is_busy(self) -> bool:
        return bool(self._inbox or self._waiting)

    def room(self, depth: int) -> int:
        return max(0, depth - len(self._inbox) - len(self._waiting))

    def begun(self) -> Mapping[Token, float]:
        """Return what runs; safe from another thread, as while something runs this one is busy."""
        now = self._now
        return {} if now is None else {now[0]: now[1]}

    def submit(self, messages: Sequence[Reservation], depth: int = 1) -> None:
        self._inbox.extend(messages)

    def submit_alone(self, message: Reservation) -> bool:
        if self._inbox or self._waiting:
            return False
        self._inbox.append(message)
        return True

    def wait(self, timeout: float) -> list[Event]:
        if self._inbox:
            self._run_some()
        elif not self._events:
            select.select([self.alarm], [], [], max(0.0, timeout))
            self.alarm.silence()
        events, self._events = self._events, []
        return events

    def _run_some(self) -> None:
        """Run one body, or several short ones: they are settled together."""
        until = time.monotonic() + TOGETHER_SECONDS
        while self._inbox:
            ended = self._run(self._inbox.popleft())
            if ended.waits or time.monotonic() >= until:
                break

    def _run(self, message: Reservation) -> Ended:
        token, body = message.token, self._make_body()
        self._now = token, time.monotonic(), body
        try:
            body.begin()
            run = execute(message, self.holder, body)
        finally:
            self._now = None
        self.holder.revoked.discard(token)
        if run.after is not None:
            self._waiting[token] = run
        ended = Ended(token, run.outcome, run.started_at, run.seconds, run.after is not None)
        self._events.append(ended)
        return ended

    def settled(self, token: Token, written: bool) -> None:
        run = self._waiting.pop(token, None)
        if run is not None and run.after is not None and written:
            run.after()

    def recall(self) -> None:
        self._events.append(Returned([message.token for message in self._inbox]))
        self._inbox.clear()

    def abandon(self, token: Token) -> None:
        """A body in this very thread cannot be ended; its outcome will be refused."""

    def tell_revoked(self, token: Token) -> None:
        now = self._now
        if now is not None and now[0] == token:
            self.holder.revoked.add(token)

    def interrupt(self, token: Token) -> None:
        """Raise SoftTimeLimitExceeded in the running body; safe from another thread."""
        now = self._now
        if now is not None and now[0] == token:
            now[2].interrupt()

    def terminate(self, token: Token, signal: str = "SIGKILL") -> None:
        """A body in this very thread cannot be ended; it can only be interrupted."""

    def warn(self) -> None:
        self.holder.stopping.set()

    def pids(self) -> list[int]:
        return []

    def close(self) -> list[Ended]:
        self.alarm.close()
        if self._handler is not None:
            signal.signal(SIGNAL, self._handler)
            self._handler = None
        if self._started:
            self._started = False
            signals.send(signals.worker_process_shutdown, None, pid=os.getpid(), exitcode=0)
        return [event for event in self._events if isinstance(event, Ended)]
