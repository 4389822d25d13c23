"""How a body is called in a test: behind savepoints, and what it raises is kept for the test to raise again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import CoroutineType, TracebackType
from typing import Any

from asgiref.sync import sync_to_async

from djtasks.tasks.attempt import Body
from djtasks.testing.transactions import as_if_committing


class InlineBody(Body):
    """A body in the thread of the test."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None

    def call(self, function: Callable[[], Any]) -> Any:
        with self._remembering(), as_if_committing():
            return function()

    def awaitable(self, coroutine: CoroutineType[Any, Any, Any]) -> Awaitable[Any]:
        return self._await(coroutine)

    async def _await(self, coroutine: CoroutineType[Any, Any, Any]) -> Any:
        guard = as_if_committing()
        with self._remembering():
            await sync_to_async(guard.__enter__)()
            try:
                return await coroutine
            finally:
                await sync_to_async(guard.__exit__)(None, None, None)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error, self.traceback = error, error.__traceback__
            raise
