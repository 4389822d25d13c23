"""One attempt at a task's body, and how its end is judged; the same for a worker and for eager calls."""

from __future__ import annotations

import inspect
import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.utils import timezone

from djtasks import signals
from djtasks.conf import settings
from djtasks.domain import outcomes, payloads, states
from djtasks.domain.options import epoch_of
from djtasks.domain.outcomes import Outcome
from djtasks.domain.retries import backoff_seconds
from djtasks.exceptions import DjtasksError, EncodeError, Ignore, Reject, Retry, TaskPredicate
from djtasks.tasks.context import Request, running
from djtasks.tasks.errors import describe, format_traceback

if TYPE_CHECKING:
    from djtasks.tasks.task import Task

logger = logging.getLogger("djtasks.task")


class Attempt(NamedTuple):
    """The end of a body: the outcome to settle, and the objects that hooks are called with."""

    outcome: Outcome
    value: Any = None
    error: BaseException | None = None
    traceback: str | None = None
    seconds: float = 0.0


def call(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the body; a coroutine function runs in an event loop of its own."""
    if inspect.iscoroutinefunction(task.run):
        return async_to_sync(task.run)(*args, **kwargs)
    return task.run(*args, **kwargs)


def make(task: Task, request: Request) -> Attempt:
    """Run the body once, with everything that stands before it, and judge how it ended (TASK-2)."""
    begun = time.monotonic()
    with running(task, request):
        signals.send(signals.task_prerun, task, task_id=request.id, args=request.args, kwargs=request.kwargs)
        ended = _run(task, request)
    return ended._replace(seconds=time.monotonic() - begun)


def _run(task: Task, request: Request) -> Attempt:
    try:
        task.before_start(str(request.id), request.args, request.kwargs)
        value = _call_with_autoretry(task, request)
        if request.pending_retry is not None:
            raise request.pending_retry
        return _succeeded(task, request, value)
    # A body may raise anything, and nothing that it raises is to end the process that runs it.
    except BaseException as error:
        return _ended(task, request, error)


def _call_with_autoretry(task: Task, request: Request) -> Any:
    try:
        return call(task, request.args, request.kwargs)
    except (TaskPredicate, *task.dont_autoretry_for):
        raise
    except task.autoretry_for as error:
        if request.called_directly:
            raise
        again = dict(task.retry_kwargs or {})
        if task.retry_backoff:
            again["countdown"] = backoff_seconds(
                task.retry_backoff, request.retries, task.retry_backoff_max, task.retry_jitter
            )
        task.retry(**{"exc": error, **again})


def _succeeded(task: Task, request: Request, value: Any) -> Attempt:
    keep = not request.ignore_result
    try:
        text = payloads.encode(value, where="result", max_bytes=settings.MAX_PAYLOAD_BYTES) if keep else None
    except EncodeError as error:
        return _failed(task, request, error)
    return Attempt(outcomes.Success(text, keep), value)


def _ended(task: Task, request: Request, error: BaseException) -> Attempt:
    match error:
        case Retry():
            return _retried(task, request, error)
        case Ignore():
            return Attempt(outcomes.Ignored(), error=error)
        case Reject():
            line = describe(error, "rejected", request)
            return Attempt(outcomes.Rejected(line, error.requeue), error=error)
        case _:
            return _failed(task, request, error)


def _retried(task: Task, request: Request, again: Retry) -> Attempt:
    cause = again.exc or again.__cause__ or again.__context__ or again
    try:
        change = _changes(again)
    except DjtasksError as error:
        return _failed(task, request, error)
    text = format_traceback(cause)
    outcome = outcomes.Retry(describe(cause, "retry", request, text), **change)
    return Attempt(outcome, error=again, traceback=text)


def _changes(again: Retry) -> dict[str, Any]:
    limit = settings.MAX_PAYLOAD_BYTES
    change: dict[str, Any] = dict(again.options)
    if isinstance(again.when, datetime):
        change["due_at"] = epoch_of(again.when, "eta", django_settings.USE_TZ, timezone.get_default_timezone())
    else:
        change["delay"] = max(0.0, float(again.when or 0))
    if again.new_args is not None:
        change["args"] = payloads.encode(list(again.new_args), where="args", max_bytes=limit)
    if again.new_kwargs is not None:
        change["kwargs"] = payloads.encode(again.new_kwargs, where="kwargs", max_bytes=limit)
    return change


def _failed(task: Task, request: Request, error: BaseException) -> Attempt:
    text = format_traceback(error)
    keep = not request.ignore_result or task.store_errors_even_if_ignored
    outcome = outcomes.Failure(describe(error, "failure", request, text), keep)
    return Attempt(outcome, error=error, traceback=text)


def after(task: Task, request: Request, attempt: Attempt) -> None:
    """Run hooks and signals that follow a recorded end (TASK-2); what they raise is logged and harms nobody."""
    with running(task, request):
        try:
            _run_hooks(task, request, attempt)
        except BaseException:
            logger.exception("a hook of %s[%s] failed", task.name, request.id)
        state = state_of(attempt.outcome)
        signals.send(
            signals.task_postrun,
            task,
            task_id=request.id,
            args=request.args,
            kwargs=request.kwargs,
            retval=attempt.value,
            state=state,
        )


def _run_hooks(task: Task, request: Request, attempt: Attempt) -> None:
    task_id, args, kwargs = str(request.id), request.args, request.kwargs
    match attempt.outcome:
        case outcomes.Success():
            task.on_success(attempt.value, task_id, args, kwargs)
            signals.send(signals.task_success, task, result=attempt.value)
            task.after_return(states.SUCCESS, attempt.value, task_id, args, kwargs, None)
        case outcomes.Failure():
            error, text = attempt.error, attempt.traceback or ""
            assert error is not None
            task.on_failure(error, task_id, args, kwargs, text)
            signals.send(
                signals.task_failure, task, task_id=task_id, exception=error, args=args, kwargs=kwargs, einfo=text
            )
            task.after_return(states.FAILURE, error, task_id, args, kwargs, text)
        case outcomes.Retry():
            assert attempt.error is not None
            task.on_retry(attempt.error, task_id, args, kwargs, attempt.traceback or "")
            signals.send(signals.task_retry, task, request=request, reason=attempt.error, einfo=attempt.traceback)


def wants_after(task: Task) -> bool:
    """Say whether a hook or a signal waits for the recorded end, so that the pool has to be told of it."""
    return task.has_hooks_after() or signals.any_after()


def state_of(outcome: Outcome) -> str:
    """Name the state that an outcome leads to."""
    match outcome:
        case outcomes.Success():
            return states.SUCCESS
        case outcomes.Retry():
            return states.RETRY
        case outcomes.Ignored():
            return states.IGNORED
        case outcomes.Rejected():
            return states.REJECTED
        case outcomes.Revoked():
            return states.REVOKED
    return states.FAILURE


def report(task: Task, request: Request, attempt: Attempt) -> None:
    """Log how a run ended: what a task expects (TASK-3) without a traceback."""
    name = f"{request.shadow or task.name}[{request.id}]"
    match attempt.outcome:
        case outcomes.Success():
            logger.info("%s succeeded in %.3fs", name, attempt.seconds)
        case outcomes.Retry():
            logger.info("%s is to be retried: %s", name, payloads.printable(str(attempt.error), 1000))
        case outcomes.Failure() if task.throws and isinstance(attempt.error, task.throws):
            logger.info("%s failed as expected: %s", name, payloads.printable(repr(attempt.error), 1000))
        case outcomes.Failure():
            logger.error("%s failed\n%s", name, attempt.traceback)
        case _:
            logger.info("%s: %s", name, attempt.error)
