"""A registered callable with its name and options: what application code declares and calls."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from asgiref.sync import sync_to_async

from djtasks.conf import settings
from djtasks.domain.options import TASK_OPTIONS, check_names, check_task_options
from djtasks.domain.retries import exhausted
from djtasks.exceptions import MaxRetriesExceededError, Retry
from djtasks.tasks import attempt, calling, eager, progress
from djtasks.tasks.context import Request, current_run, running

if TYPE_CHECKING:
    from djtasks.tasks.result import AsyncResult, EagerResult


class FromSettings:
    """A task option that is as ``DJTASKS`` says, unless the task or its base class says otherwise."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return getattr(settings, self.key)


class Task:
    """A task: called directly it runs here and now; ``delay`` and ``apply_async`` send a message for a worker.

    A base class may override the options below and the hooks ``before_start``, ``on_success``, ``on_failure``,
    ``on_retry`` and ``after_return`` (TASK-2).
    """

    name: str = ""
    run: Callable[..., Any]

    queue: Any = FromSettings("TASK_DEFAULT_QUEUE")
    priority: Any = FromSettings("TASK_DEFAULT_PRIORITY")
    max_retries: Any = FromSettings("TASK_MAX_RETRIES")
    default_retry_delay: Any = FromSettings("TASK_DEFAULT_RETRY_DELAY")
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_kwargs: Mapping[str, Any] | None = None
    retry_backoff: bool | float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    expires: Any = None
    ignore_result: Any = FromSettings("TASK_IGNORE_RESULT")
    store_errors_even_if_ignored: Any = FromSettings("TASK_STORE_ERRORS_EVEN_IF_IGNORED")
    acks_late: Any = FromSettings("TASK_ACKS_LATE")
    acks_on_failure: Any = FromSettings("TASK_ACKS_ON_FAILURE")
    reject_on_worker_lost: Any = FromSettings("TASK_REJECT_ON_WORKER_LOST")
    max_deliveries: Any = FromSettings("MAX_DELIVERIES")
    track_started: Any = FromSettings("TASK_TRACK_STARTED")
    trail: bool = True
    throws: tuple[type[BaseException], ...] = ()
    typing: bool = True
    headers: Mapping[str, Any] | None = None

    _may_be_none: ClassVar[frozenset[str]] = frozenset({"max_retries", "expires", "headers", "retry_kwargs"})

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"

    @classmethod
    def make(cls, function: Callable[..., Any], name: str, bind: bool, options: Mapping[str, Any]) -> Task:
        """Make the task of a callable; raise ImproperlyConfigured for options that cannot work."""
        check_names(options, TASK_OPTIONS, f"task {name!r}")
        given = {key: value for key, value in options.items() if value is not None or key in cls._may_be_none}
        attributes = {
            **given,
            "name": name,
            "run": function if bind else staticmethod(function),
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__wrapped__": staticmethod(function),
            "__name__": getattr(function, "__name__", name),
        }
        task: Task = type(getattr(function, "__name__", "task"), (cls,), attributes)()
        check_task_options(name, {key: getattr(task, key) for key in TASK_OPTIONS})
        return task

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

    # Hooks

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run before the body."""

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run when the success has been recorded."""

    def on_failure(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        """Run when the failure has been recorded; ``einfo`` is the traceback as text."""

    def on_retry(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        """Run when the retry has been recorded."""

    def after_return(
        self, status: str, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str | None
    ) -> None:
        """Run when the end has been recorded; not after Retry, Ignore and Reject."""

    def has_hooks_after(self) -> bool:
        """Say whether anything is to run once the end has been recorded."""
        return any(
            getattr(type(self), hook) is not getattr(Task, hook)
            for hook in ("on_success", "on_failure", "on_retry", "after_return")
        )

    def signature_of_body(self) -> inspect.Signature:
        """Return what the body may be called with, without ``self``."""
        return inspect.signature(self.run)


def _raise_cause(error: BaseException) -> NoReturn:
    """Raise the error, chained to the one that is being handled."""
    active = sys.exc_info()[1]
    if active is None or active is error:
        raise error
    raise error from active
