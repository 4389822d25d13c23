"""Inside a child of the event loop pool: coroutines run side by side on one loop, all else in its slots' threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections import deque
from contextlib import suppress
from typing import Any

from djtasks.domain.messages import Reservation, Token
from djtasks.tasks import attempt
from djtasks.worker.execution import Run, conclude, execute, prepare
from djtasks.worker.interruption import Body, ThreadBody
from djtasks.worker.serving import Child
from djtasks.worker.slot import Slot


class LoopChild(Child):
    """A child whose main thread is an event loop; it alone deals with slots, so that a loop that hangs is noticed."""

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.inbox: deque[Reservation] = deque()
        self._loop = asyncio.new_event_loop()
        self._is_over = asyncio.Event()
        self._free: list[Slot] = []
        self._runs: dict[Token, tuple[asyncio.Task[None], Slot]] = {}
        self._running = 0

    def serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._is_over.wait())

    # What the reader's thread calls

    def take(self, message: Reservation) -> None:
        self.inbox.append(message)
        self._loop.call_soon_threadsafe(self._fill)

    def give_back(self) -> list[Token]:
        unstarted = []
        with suppress(IndexError):
            while True:
                unstarted.append(self.inbox.popleft().token)
        return unstarted

    def resize(self, slots: int) -> None:
        self.slots = slots
        self._loop.call_soon_threadsafe(self._fill if slots else self._is_over.set)

    def abandon(self, token: Token) -> None:
        self._loop.call_soon_threadsafe(self._abandon, token)

    # What happens in the loop

    def _fill(self) -> None:
        """Begin what there are slots for, each run in a context of its own."""
        with suppress(IndexError):
            while self._running < self.slots:
                message = self.inbox.popleft()
                self._running += 1
                slot = self._free.pop() if self._free else Slot()
                run = self._loop.create_task(self._run(slot, message), context=contextvars.Context())
                self._runs[message.token] = run, slot

    async def _run(self, slot: Slot, message: Reservation) -> None:
        token = message.token
        if token in self.holder.lost:
            self.send_back([token])
        elif not await self._execute(slot, message):
            return
        self.forget(token)
        del self._runs[token]
        self._free.append(slot)
        self._running -= 1
        self._fill()

    async def _execute(self, slot: Slot, message: Reservation) -> bool:
        """Run a message; say whether the slot is still its own afterwards."""
        token = message.token
        slot.begin()
        run = await self._make(slot, message)
        if self.bodies.pop(token, None) is None:
            return False
        await slot.end()
        if run.after is None:
            self.tell(message, run)
            return True
        confirmation = self._loop.create_future()
        self.confirmations[token] = lambda written: _resolve(confirmation, written)
        self.tell(message, run)
        if await confirmation:
            await slot.do(run.after)
        del self.confirmations[token]
        self.channel.send("done", *token)
        return True

    async def _make(self, slot: Slot, message: Reservation) -> Run:
        ready = prepare(message, self.holder)
        if isinstance(ready, Run):
            self.register(message.token, Body())
            return ready
        if inspect.iscoroutinefunction(ready.task.run):
            body = Body()
            self.register(message.token, body)
            return conclude(ready, await attempt.amake(ready.task, ready.request, body), body)
        in_thread = ThreadBody()
        self.register(message.token, in_thread)
        return await slot.do(lambda: self._make_in_thread(message, in_thread))

    def _make_in_thread(self, message: Reservation, body: ThreadBody) -> Run:
        if not body.begin():
            raise asyncio.CancelledError
        run = execute(message, self.holder, body)
        body.end()
        return run

    def _abandon(self, token: Token) -> None:
        body = self.bodies.pop(token, None)
        if body is None:
            return
        run, slot = self._runs.pop(token)
        body.abandon()
        run.cancel()
        slot.leave()
        self.forget(token)
        self._running -= 1
        self.channel.send("abandoned", *token)
        self._fill()


def _resolve(future: asyncio.Future[bool], written: bool) -> None:
    """Answer from another thread."""
    future.get_loop().call_soon_threadsafe(future.set_result, written)
