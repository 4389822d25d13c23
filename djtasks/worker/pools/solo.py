"""The solo pool: one body at a time, in the supervisor's own main thread; for debuggers and small hosts.

Leases are renewed from a thread beside the body, which a body that never lets go of the interpreter starves.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Sequence

from djtasks.domain.messages import Reservation, Token
from djtasks.worker.execution import Holder, Run, execute
from djtasks.worker.pools.base import Ended, Event, Pool, Returned

TOGETHER_SECONDS = 0.005


class SoloPool(Pool):
    """Runs what it was given when it is waited for."""

    runs_here = True

    def __init__(self, slots: int, holder: Holder) -> None:
        super().__init__(1, holder)
        self._inbox: deque[Reservation] = deque()
        self._events: list[Event] = []
        self._waiting: dict[Token, Run] = {}

    def start(self) -> None:
        """There is nothing to make."""

    def is_busy(self) -> bool:
        return bool(self._inbox or self._waiting)

    def room(self, depth: int) -> int:
        return max(0, depth - len(self._inbox) - len(self._waiting))

    def begun(self) -> list[Token]:
        return []

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
        run = execute(message, self.holder)
        if run.after is not None:
            self._waiting[message.token] = run
        ended = Ended(message.token, run.outcome, run.started_at, run.seconds, run.after is not None)
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

    def warn(self) -> None:
        self.holder.stopping.set()

    def pids(self) -> list[int]:
        return []

    def close(self) -> list[Ended]:
        self.alarm.close()
        return [event for event in self._events if isinstance(event, Ended)]
