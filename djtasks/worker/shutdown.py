"""How a worker is told to end, and how far that has come (WORK-6 to WORK-8)."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from types import FrameType

from djtasks import signals
from djtasks.worker.pools.alarm import Alarm

logger = logging.getLogger("djtasks.worker")


class Stage(IntEnum):
    """Each goes further than the one before."""

    WORKING = 0
    WARM = 1  # Reserve no more; what runs may end, within the grace.
    SOFT = 2  # Told to end at once, and yet what runs may end, for a while.
    COLD = 3  # End what runs, and settle what is held.
    HARD = 4  # Leave everything as it is: the leases run out by themselves.


class Shutdown:
    """Hears signals, which only note how far to go and wake the loop: a handler that raises could hit any line."""

    def __init__(self, alarm: Alarm, *, grace: float, soft_seconds: float = 0.0) -> None:
        self.alarm = alarm
        self.grace = grace
        self.soft_seconds = soft_seconds
        self.stage = Stage.WORKING
        self.heard: int | None = None
        self.restarts = False
        # For how many seconds the stage that was entered may last.
        self.allowed = float("inf")
        self._ends_at = float("inf")
        self._entered = Stage.WORKING

    def hear(self) -> Callable[[], None]:
        """Listen to signals; return what puts things back as they were."""
        # Elsewhere nobody may: a worker in a thread of a test is told to stop by its word.
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        handlers = {
            signal.SIGTERM: self._on_quit if os.environ.get("REMAP_SIGTERM") == "SIGQUIT" else self._on_term,
            signal.SIGQUIT: self._on_quit,
            signal.SIGINT: self._on_int,
            signal.SIGHUP: self._on_hup,
            signal.SIGCHLD: lambda *_: None,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup = signal.set_wakeup_fd(self.alarm.bell, warn_on_full_buffer=False)
        faulthandler.register(signal.SIGUSR1, sys.__stderr__ or sys.stderr)

        def restore() -> None:
            faulthandler.unregister(signal.SIGUSR1)
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore

    def hear_no_more(self) -> None:
        """Leave the alarm alone, which is about to be closed."""
        # The number of its socket may be the next connection's, into which no signal is to write.
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(-1)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        """Stop warmly; whoever asks again wants it now."""
        self.heard = number
        self.ask(Stage.WARM if self.stage is Stage.WORKING else self._colder(Stage.COLD))

    def _on_hup(self, number: int, frame: FrameType | None) -> None:
        """Stop warmly, to start anew; but where a terminal has hung up, to stay away."""
        self.restarts = not (sys.stdin and sys.stdin.isatty())
        self._on_term(number, frame)

    def _on_quit(self, number: int, frame: FrameType | None) -> None:
        """Stop coldly; whoever asks again has had enough of waiting."""
        self.heard = number
        self.ask(self._colder(Stage.HARD) if self.stage >= Stage.SOFT else self._cold())

    def _on_int(self, number: int, frame: FrameType | None) -> None:
        """Go one stage further each time."""
        self.heard = number
        self.ask(self._colder(Stage.HARD))

    def _colder(self, most: Stage) -> Stage:
        if self.stage is Stage.WARM:
            return self._cold()
        return min(most, Stage(min(self.stage + 1, Stage.HARD)))

    def _cold(self) -> Stage:
        return Stage.SOFT if self.soft_seconds else Stage.COLD

    def ask(self, stage: Stage = Stage.WARM) -> None:
        """Go as far as this stage, if it is not reached yet; safe from every thread and signal handler."""
        self.stage = max(self.stage, stage)
        self.alarm.ring()

    def tell(self, hostname: str) -> None:
        """Tell listeners that the worker is to end, how, and by which signal if it was one."""
        facts = {"sig": self.heard and signal.Signals(self.heard).name, "how": self.stage.name.capitalize()}
        signals.send(signals.worker_shutting_down, hostname, **facts, exitcode=0)

    def proceed(self) -> bool:
        """Note what was asked for, and go on where a stage's time is over; say whether one has just been entered."""
        now = time.monotonic()
        if now >= self._ends_at:
            self.ask(Stage.COLD)
        if self._entered is self.stage:
            return False
        self._entered = self.stage
        self.allowed = {Stage.WARM: self.grace, Stage.SOFT: self.soft_seconds}.get(self.stage, float("inf"))
        self._ends_at = now + self.allowed
        return True

    def rest(self) -> float:
        """Return the seconds until the stage goes on by itself."""
        return max(0.0, self._ends_at - time.monotonic())
