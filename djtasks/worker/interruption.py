"""Bodies into which SoftTimeLimitExceeded can be raised from another thread (WORK-3), and nothing but bodies.

How depends on where a body runs: a signal breaks what the main thread waits for; another thread hears of it at its
next line of Python, so that a call into C delays it; a coroutine has it raised where it awaits.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from types import CoroutineType, FrameType
from typing import Any, cast

from djtasks.exceptions import SoftTimeLimitExceeded
from djtasks.tasks import attempt

SIGNAL = signal.SIGUSR2
AGAIN_SECONDS = 0.05
MOMENT = 0.0005


class Body(attempt.Body):
    """One run's body; it can be interrupted once, and what comes before its first line is heard there."""

    def __init__(self) -> None:
        self.abandoned = False
        self.wanted = False
        self._awaited: _Awaited | None = None

    def begin(self) -> bool:
        """Note that it is run here; say whether it is still wanted."""
        return not self.abandoned

    def end(self) -> None:
        """Leave an abandoned run."""

    def interrupt(self) -> None:
        """Raise SoftTimeLimitExceeded in the body, if it still runs; safe from every thread."""
        self.wanted = True
        if self._awaited is not None:
            self._awaited.interrupt()

    def abandon(self) -> None:
        """Leave it to itself: nobody waits for its end any more."""
        self.abandoned = True

    def awaitable(self, coroutine: CoroutineType[Any, Any, Any]) -> Awaitable[Any]:
        self._awaited = _Awaited(coroutine, self)
        return self._awaited

    def is_due(self) -> bool:
        """Say whether the exception is to be raised here and now, which happens once."""
        wanted, self.wanted = self.wanted, False
        return wanted


class _Now:
    """What runs in the main thread. Not an attribute of its class: set, one makes Python forget what it knows of it."""

    def __init__(self) -> None:
        self.body: Body | None = None


_now = _Now()


class MainThreadBody(Body):
    """A body in the main thread of its process, where a signal ends also what blocks in C."""

    @classmethod
    def listen(cls) -> Any:
        """Let the signal be heard from now on; return the handler that was there before."""
        return signal.signal(SIGNAL, cls._on_signal)

    @classmethod
    def _on_signal(cls, number: int, frame: FrameType | None) -> None:
        # Python calls this in the main thread between two of its steps: what it finds running does run.
        body = _now.body
        if body is not None and body.is_due():
            raise SoftTimeLimitExceeded

    def call(self, function: Callable[[], Any]) -> Any:
        try:
            _now.body = self
            if self.is_due():
                raise SoftTimeLimitExceeded
            return function()
        finally:
            _now.body = None

    def interrupt(self) -> None:
        super().interrupt()
        threading.Thread(target=self._ring, name="djtasks-interrupt", daemon=True).start()

    def _ring(self) -> None:
        """Send the signal until it is heard: one that comes just before a call blocks would be heard after it."""
        main = threading.main_thread().ident
        while self.wanted and _now.body is self and main is not None:
            signal.pthread_kill(main, SIGNAL)
            time.sleep(AGAIN_SECONDS)


class ThreadBody(Body):
    """A body in any other thread.

    There is one permit to strike it. Whoever takes it decides: an interruption, which will then strike, or the body
    at its end, after which nothing can. No lock is held where the exception may be raised.
    """

    def __init__(self) -> None:
        super().__init__()
        self._permit: list[int] = []
        self._is_quiet = False
        self._thread: int | None = None
        self._is_struck = False

    def begin(self) -> bool:
        self._thread = threading.get_ident()
        return super().begin()

    def end(self) -> None:
        # Its thread must not be gone, or do something else, when it is struck.
        while self.abandoned and not self._is_struck:
            time.sleep(MOMENT)

    def abandon(self) -> None:
        """Leave it to itself, and ask its thread to end, whatever it does: it belongs to nobody now."""
        super().abandon()
        if self._thread is not None:
            raise_in(self._thread, SystemExit)
        self._is_struck = True

    def call(self, function: Callable[[], Any]) -> Any:
        try:
            try:
                self._permit.append(threading.get_ident())
                if self.wanted and self._take_permit():
                    self.wanted, self._is_quiet = False, True
                    raise SoftTimeLimitExceeded
                return function()
            finally:
                self._leave()
        except SoftTimeLimitExceeded:
            # It may have struck on the way out, which it does only once.
            self._leave()
            raise

    def interrupt(self) -> None:
        super().interrupt()
        if ident := self._take_permit():
            self.wanted = False
            raise_in(ident, SoftTimeLimitExceeded)
            self._is_quiet = True

    def _take_permit(self) -> int | None:
        with suppress(IndexError):
            return self._permit.pop()
        return None

    def _leave(self) -> None:
        if self._take_permit():
            self._is_quiet = True
            return
        while not self._is_quiet:
            time.sleep(MOMENT)
        raise_in(threading.get_ident(), None)


class _Awaited:
    """A coroutine in which the exception is raised where it awaits; its task is cancelled to wake it up for that."""

    def __init__(self, coroutine: CoroutineType[Any, Any, Any], body: Body) -> None:
        self._coroutine = coroutine
        self._body = body
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def __await__(self) -> Generator[Any, Any, Any]:
        self._task = asyncio.current_task()
        return cast("Generator[Any, Any, Any]", self)

    def __iter__(self) -> _Awaited:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Go on with the coroutine."""
        return self._raise() if self._body.is_due() else self._coroutine.send(value)

    def throw(self, error: BaseException, *legacy: Any) -> Any:
        """Go on with an exception, or with the wanted one in the place of a cancellation."""
        if isinstance(error, asyncio.CancelledError) and self._body.is_due():
            return self._raise()
        return self._coroutine.throw(error, *legacy)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()

    def interrupt(self) -> None:
        """Wake the coroutine up; one that has not taken its first step needs no waking."""
        # The loop may be closed by now.
        with suppress(RuntimeError):
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and self._body.wanted and self._coroutine.cr_frame is not None:
            self._is_cancelled = self._task.cancel()

    def _raise(self) -> Any:
        if self._task is not None and self._is_cancelled:
            self._task.uncancel()
            self._is_cancelled = False
        return self._coroutine.throw(SoftTimeLimitExceeded())


def raise_in(ident: int, error: type[BaseException] | None) -> None:
    """Raise an exception at the next line of Python that a thread comes to; None takes it back."""
    given = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), given)
