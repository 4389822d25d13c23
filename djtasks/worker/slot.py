"""A slot of the event loop pool: the one thread in which whatever blocks is done for the run that has the slot.

That is a body that is no coroutine, hooks, and what a coroutine does by ``sync_to_async``, as Django's asynchronous ORM
does. So there are never more connections than slots, no run waits for another's thread, and none sees another's
transaction.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from djtasks.worker.isolation import disconnect, tidy_after, tidy_before

T = TypeVar("T")


class Slot(Executor):
    """Does one thing after the other in a thread that is started when there is something to do."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._has_thread = False
        self._is_used = False
        self._is_left = False
        self._context = ThreadSensitiveContext()
        SyncToAsync.context_to_thread_executor[self._context] = self

    def begin(self) -> None:
        """Be the place for what the coroutine that calls this is going to do by ``sync_to_async``."""
        self._is_used = False
        SyncToAsync.thread_sensitive_context.set(self._context)

    async def end(self) -> None:
        """Leave nothing of a run to the next."""
        if self._is_used:
            await self.do(tidy_after)

    async def do(self, function: Callable[[], T]) -> T:
        """Call a function in the thread."""
        return await asyncio.wrap_future(self.submit(function))

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._is_left:
            raise RuntimeError("the run was ended")
        if not self._has_thread:
            self._has_thread = True
            # One that hangs must not keep the process from ending.
            threading.Thread(target=self._serve, name="djtasks-slot", daemon=True).start()
        if not self._is_used:
            self._is_used = True
            self._work.put(tidy_before)
        future: Future[Any] = Future()
        self._work.put(partial(_answer, future, partial(function, *args, **kwargs)))
        return future

    def leave(self) -> None:
        """Do no more; a run that was abandoned may keep the thread for ever."""
        self._is_left = True
        self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
        disconnect()


def _answer(future: Future[Any], function: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)
