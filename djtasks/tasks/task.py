"""A registered callable with its name and options: what application code declares and calls."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async

from djtasks.exceptions import Retry, TaskRevokedError
from djtasks.tasks import calling, progress, retrying
from djtasks.tasks.canvas.signing import Signing
from djtasks.tasks.context import Request, current_run, running
from djtasks.tasks.definition import Definition

if TYPE_CHECKING:
    from djtasks.tasks.results.result import AsyncResult, EagerResult


class Task(Signing, Definition):
    """A task: called directly it runs here and now; ``delay`` and ``apply_async`` send a message for a worker.

    A base class may override the options and the hooks ``before_start``, ``on_success``, ``on_failure``, ``on_retry``
    and ``after_return`` (TASK-2).
    """

    # Calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body here and now (TASK-5); a coroutine function's is awaited, or returned to be awaited."""
        request = self.request
        if request.entering:
            # A worker runs the task by way of a base class whose own __call__ has come here.
            request.entering = False
            return self.run(*args, **kwargs)
        request = Request(task=self.name, args=args, kwargs=kwargs)
        with running(self, request):
            value = self.run(*args, **kwargs)
        if not inspect.iscoroutine(value):
            return value
        return self._await(request, value) if _in_event_loop() else async_to_sync(self._await)(request, value)

    async def _await(self, request: Request, body: Coroutine[Any, Any, Any]) -> Any:
        with running(self, request):
            return await body

    def has_own_call(self) -> bool:
        """Say whether a base class has a ``__call__`` of its own, which then runs in workers, too."""
        return type(self).__call__ is not Task.__call__

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Send a message with these arguments (CALL-1)."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """Send a message; its row joins the transaction that is open here.

        Raises TypeError for arguments that the task does not take and for options that do not exist, EncodeError for
        values that cannot be stored, ValueError for moments and names that cannot be meant.
        """
        return calling.send(self.name, self, args, kwargs, options)

    def apply(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> EagerResult:
        """Run the task here and now as a worker would, retries included, and return its EagerResult (MON-3)."""
        return calling.apply(self, args, kwargs, options)

    async def adelay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """``delay`` from a coroutine."""
        return await self.aapply_async(args, kwargs)

    async def aapply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """``apply_async`` from a coroutine."""
        return await sync_to_async(self.apply_async)(args, kwargs, **options)

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """``delay`` that counts only once the transaction commits (CALL-14)."""
        return self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """``apply_async`` that counts only once the transaction commits; the handle is returned at once.

        A message in the data's own database is part of that transaction anyway. In another one it is inserted when
        the data has been committed.
        """
        return calling.send_on_commit(self.name, self, args, kwargs, options)

    # Inside the body

    @property
    def request(self) -> Request:
        """The run that is going on, or an empty request outside of one."""
        run = current_run()
        return run[1] if run is not None and run[0] is self else Request(task=self.name)

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | timedelta | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Run the task again later: the same message, with the same id, in the same queue (RETRY-1 to RETRY-7).

        Raises Retry, unless ``throw`` is false; ``exc`` or MaxRetriesExceededError where no retry is left.
        """
        request = self.request
        again = retrying.ask(
            self, request, args, kwargs, exc, eta if countdown is None else countdown, max_retries, options
        )
        if throw:
            raise again
        request.pending_retry = again
        return again

    def is_revoked(self) -> bool:
        """Say whether this run was asked to stop by a revocation; a long body should look now and then (WORK-9)."""
        return self.request.revoked

    def check_revoked(self) -> None:
        """Raise TaskRevokedError once this run was revoked: the task then ends as REVOKED."""
        if self.request.revoked:
            raise TaskRevokedError("revoked")

    def update_state(self, state: str | None = None, meta: Any = None, task_id: str | None = None) -> None:
        """Show a state of the task's own, with what belongs to it, until it ends (RES-3)."""
        progress.update_state(self.request, task_id, state, meta)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Show how far the task is: ``AsyncResult.info`` is ``{"done": …, "total": …, "message": …}`` a moment later.

        To call it for each of many thousand things costs little: about once a second the last word is written, by
        the worker, outside of any transaction. What ``update_state`` has left as meta is replaced.
        """
        progress.report(self.request, done, total, message)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
