"""A registered callable with its name and options: what application code declares and calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from asgiref.sync import sync_to_async

from djtasks.domain.options import check_names
from djtasks.domain.retries import exhausted
from djtasks.exceptions import MaxRetriesExceededError, Retry
from djtasks.tasks import attempt, calling, progress
from djtasks.tasks.context import Request, current_run, running
from djtasks.tasks.definition import Definition

if TYPE_CHECKING:
    from djtasks.tasks.result import AsyncResult, EagerResult


class Task(Definition):
    """A task: called directly it runs here and now; ``delay`` and ``apply_async`` send a message for a worker.

    A base class may override the options and the hooks ``before_start``, ``on_success``, ``on_failure``, ``on_retry``
    and ``after_return`` (TASK-2).
    """

    # Calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body here and now (TASK-5)."""
        with running(self, Request(task=self.name, args=args, kwargs=kwargs)):
            return attempt.call(self, args, kwargs)

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
        return eager.apply(self, args, kwargs, options)

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
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Run the task again later: the same message, with the same id, in the same queue (RETRY-1 to RETRY-7).

        Raises Retry, unless ``throw`` is false; ``exc`` or MaxRetriesExceededError where no retry is left.
        """
        request = self.request
        if request.called_directly:
            _raise_cause(exc or Retry("a task can only be retried where a worker runs it", None))
        check_names(options, {"queue", "priority"}, f"{self.name}.retry")
        if exhausted(request.retries, self.max_retries if max_retries is None else max_retries):
            _raise_cause(
                exc
                or MaxRetriesExceededError(
                    f"can't retry {self.name}[{request.id}] again: it has been retried {request.retries} times"
                )
            )
        if countdown is None and eta is None:
            countdown = self.default_retry_delay
        again = Retry(
            exc=exc,
            when=eta if countdown is None else countdown,
            args=None if args is None else tuple(args),
            kwargs=None if kwargs is None else dict(kwargs),
            options=options,
        )
        if throw:
            raise again
        request.pending_retry = again
        return again

    def update_state(self, state: str | None = None, meta: Any = None, task_id: str | None = None) -> None:
        """Show a state of the task's own, with what belongs to it, until it ends (RES-3)."""
        progress.update_state(self.request, task_id, state, meta)


def _raise_cause(error: BaseException) -> NoReturn:
    """Raise the error, chained to the one that is being handled."""
    active = sys.exc_info()[1]
    if active is None or active is error:
        raise error
    raise error from active
