"""One attempt at a task's body, and how its end is judged; the same for a worker and for eager calls."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from asgiref.sync import async_to_sync

from djtasks import signals
from djtasks.conf import settings
from djtasks.domain import outcomes, payloads, states
from djtasks.domain.outcomes import Outcome
from djtasks.domain.retries import backoff_seconds
from djtasks.exceptions import EncodeError, Ignore, Reject, Retry, TaskPredicate
from djtasks.tasks.context import Request, running
from djtasks.tasks.errors import describe, format_traceback, message_of
from djtasks.tasks.retrying import changes

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


def make(task: Task, request: Request) -> Attempt:
    """Run the body once, with everything that stands before it, and judge how it ended (TASK-2)."""
    begun = time.monotonic()
    with running(task, request):
        ended = _run(task, request)
    return ended._replace(seconds=time.monotonic() - begun)


def _run(task: Task, request: Request) -> Attempt:
    try:
        run = {"task_id": request.id, "args": request.args, "kwargs": request.kwargs}
        signals.send(signals.task_prerun, task, task=task, **run)
        # The message may come from code with another signature (E10); autoretry is for what the body raises.
        task.check_arguments(request.args, request.kwargs)
        task.before_start(str(request.id), request.args, request.kwargs)
        value = _call_with_autoretry(task, request)
        if request.pending_retry is not None:
            raise request.pending_retry
        return _succeeded(task, request, value)
    # A body may raise anything, and nothing that it raises is to end the process that runs it.
    except BaseException as error:
        return _ended(task, request, error)


def _call_with_autoretry(task: Task, request: Request) -> Any:
    passed: tuple[type[BaseException], ...] = (TaskPredicate, *task.dont_autoretry_for)
    try:
        value = _call(task, request)
        # What is returned by a coroutine function, or by what wraps one, runs in an event loop of its own.
        return async_to_sync(_await)(value) if inspect.iscoroutine(value) else value
    except passed:
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


def _call(task: Task, request: Request) -> Any:
    """Call the body, by way of the ``__call__`` of a base class that has its own."""
    if not task.has_own_call():
        return task.run(*request.args, **request.kwargs)
    request.entering = True
    return task(*request.args, **request.kwargs)


async def _await(body: Coroutine[Any, Any, Any]) -> Any:
    return await body


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
        case _ if request.pending_retry is not None:
            # Asked for with throw=False; what the body raised later does not take it back.
            return _retried(task, request, request.pending_retry)
        case _:
            return _failed(task, request, error)


def _retried(task: Task, request: Request, again: Retry) -> Attempt:
    cause = again.exc or again.__cause__ or again.__context__ or again
    try:
        change = changes(again)
    except (TypeError, ValueError) as error:
        return _failed(task, request, error)
    text = format_traceback(cause)
    outcome = outcomes.Retry(describe(cause, "retry", request, text), **change)
    return Attempt(outcome, error=again, traceback=text)


def _failed(task: Task, request: Request, error: BaseException) -> Attempt:
    text = format_traceback(error)
    keep = not request.ignore_result or task.store_errors_even_if_ignored
    outcome = outcomes.Failure(describe(error, "failure", request, text), keep)
    return Attempt(outcome, error=error, traceback=text)


def after(task: Task, request: Request, attempt: Attempt) -> None:
    """Run hooks and signals that follow a recorded end (TASK-2); what one raises is logged and keeps no other back."""
    with running(task, request):
        for step in _steps_after(task, request, attempt):
            try:
                step()
            except BaseException:
                logger.exception("a hook of %s[%s] failed", task.name, request.id)


def _steps_after(task: Task, request: Request, attempt: Attempt) -> Iterator[Callable[[], None]]:
    outcome, value, error, text = attempt[:4]
    run = {"task_id": request.id, "args": request.args, "kwargs": request.kwargs}
    call = (str(request.id), request.args, request.kwargs)
    state = state_of(outcome)
    match outcome:
        case outcomes.Success():
            yield partial(task.on_success, value, *call)
            yield partial(signals.send, signals.task_success, task, result=value)
            yield partial(task.after_return, state, value, *call, None)
        case outcomes.Failure() if error is not None:
            facts = {**run, "exception": error, "traceback": error.__traceback__, "einfo": text}
            yield partial(task.on_failure, error, *call, text or "")
            yield partial(signals.send, signals.task_failure, task, **facts)
            yield partial(task.after_return, state, error, *call, text)
        case outcomes.Retry() if error is not None:
            yield partial(task.on_retry, error, *call, text or "")
            yield partial(signals.send, signals.task_retry, task, request=request, reason=error, einfo=text)
    yield partial(signals.send, signals.task_postrun, task, task=task, retval=value, state=state, **run)


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
            logger.info("%s is to be retried: %s", name, message_of(attempt.error))
        case outcomes.Failure() if task.throws and isinstance(attempt.error, task.throws):
            logger.info("%s failed as expected: %s: %s", name, type(attempt.error).__name__, message_of(attempt.error))
        case outcomes.Failure():
            logger.error("%s failed\n%s", name, attempt.traceback)
        case _:
            logger.info("%s: %s", name, message_of(attempt.error))
