"""One attempt at a task's body, and how its end is judged; the same for a worker and for eager calls."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import async_to_sync, sync_to_async

from djtasks import signals
from djtasks.conf import settings
from djtasks.domain import outcomes, payloads, states
from djtasks.domain.outcomes import Outcome
from djtasks.domain.retries import backoff_seconds
from djtasks.exceptions import EncodeError, Ignore, Reject, Replaced, Retry, TaskPredicate, TaskRevokedError
from djtasks.tasks.context import Request, enter, leave, running
from djtasks.tasks.errors import describe, describe_revocation, format_traceback, message_of
from djtasks.tasks.logs import run_fields
from djtasks.tasks.masking import hide, hide_in_record, secrets_of, sensitivity
from djtasks.tasks.retrying import changes

if TYPE_CHECKING:
    from djtasks.tasks.task import Task

logger = logging.getLogger("djtasks.task")


@dataclass(slots=True)
class Attempt:
    """The end of a body: the outcome to settle, and the objects that hooks are called with."""

    outcome: Outcome
    value: Any = None
    error: BaseException | None = None
    traceback: str | None = None
    seconds: float = 0.0


class Body:
    """How a body is called: plainly. A worker's pool passes one that can be interrupted and abandoned."""

    abandoned = False

    def call(self, function: Callable[[], Any]) -> Any:
        """Call the body, or what makes its coroutine."""
        return function()

    def awaitable(self, coroutine: CoroutineType[Any, Any, Any]) -> Awaitable[Any]:
        """Return what to await for a coroutine."""
        return coroutine


PLAIN = Body()


def make(task: Task, request: Request, body: Body = PLAIN) -> Attempt:
    """Run the body once, with everything that stands before it, and judge how it ended (TASK-2)."""
    with _Making(task, request) as making:
        making.prepare()
        value = body.call(making.call)
        # What is returned by a coroutine function, or by what wraps one, runs in an event loop of its own.
        making.value = async_to_sync(_await)(body.awaitable(value)) if inspect.iscoroutine(value) else value
    return making.end()


async def amake(task: Task, request: Request, body: Body = PLAIN) -> Attempt:
    """``make`` in an event loop, in which the body is awaited beside others; what stands before it may block."""
    with _Making(task, request) as making:
        if signals.task_prerun.receivers or task.has_hook_before():
            await sync_to_async(making.prepare)()
        else:
            making.prepare()
        value = body.call(making.call)
        making.value = await body.awaitable(value) if inspect.iscoroutine(value) else value
    return making.end()


class _Making:
    """Stands around a body: what comes before it, and the judgement over whatever it returned or raised."""

    def __init__(self, task: Task, request: Request) -> None:
        self.task = task
        self.request = request
        self.value: Any = None
        self._called = False
        self._attempts: list[Attempt] = []

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._before = enter(self.task, self.request)
        return self

    def prepare(self) -> None:
        """Do what stands before the body."""
        task, request = self.task, self.request
        if signals.task_prerun.receivers:
            run = {"task": task, "task_id": request.id, "args": request.args, "kwargs": request.kwargs}
            signals.send(signals.task_prerun, task, **run)
        # The message may come from code with another signature (E10); autoretry is for what the body raises.
        task.check_arguments(request.args, request.kwargs)
        task.before_start(str(request.id), request.args, request.kwargs)

    def call(self) -> Any:
        """Call the body, by way of the ``__call__`` of a base class that has its own."""
        self._called = True
        if not self.task.has_own_call():
            return self.task.run(*self.request.args, **self.request.kwargs)
        self.request.entering = True
        return self.task(*self.request.args, **self.request.kwargs)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        """Judge; a body may raise anything, and nothing that it raises is to end the process that runs it."""
        self._attempts.append(attempt := self._judge(error))
        leave(self._before)
        attempt.seconds = time.monotonic() - self._begun
        return True

    def end(self) -> Attempt:
        """Give the judgement away: the traceback in it leads back to here, in a ring that only the collector finds."""
        return self._attempts.pop()

    def _judge(self, error: BaseException | None) -> Attempt:
        task, request = self.task, self.request
        try:
            if error is not None and self._called:
                _retry_by_itself(task, request, error)
            if error is None and request.pending_retry is not None:
                raise request.pending_retry
            return _succeeded(task, request, self.value) if error is None else _ended(task, request, error)
        except BaseException as raised:
            return _ended(task, request, raised)


def _retry_by_itself(task: Task, request: Request, error: BaseException) -> None:
    """Raise Retry where the task says so for what its body raised (RETRY-8)."""
    passed: tuple[type[BaseException], ...] = (TaskPredicate, *task.dont_autoretry_for)
    if request.called_directly or isinstance(error, passed) or not isinstance(error, task.autoretry_for):
        return
    again = dict(task.retry_kwargs or {})
    if task.retry_backoff:
        again["countdown"] = backoff_seconds(
            task.retry_backoff, request.retries, task.retry_backoff_max, task.retry_jitter
        )
    task.retry(**{"exc": error, **again})


async def _await(body: Awaitable[Any]) -> Any:
    return await body


def _succeeded(task: Task, request: Request, value: Any) -> Attempt:
    keep = not request.ignore_result
    wanted = keep or request.feeds
    try:
        text = payloads.encode(value, where="result", max_bytes=settings.MAX_PAYLOAD_BYTES) if wanted else None
    except EncodeError as error:
        return _failed(task, request, error)
    return Attempt(outcomes.Success(text, keep), value)


def _ended(task: Task, request: Request, error: BaseException) -> Attempt:
    match error:
        case Retry():
            return _retried(task, request, error)
        case Replaced():
            return Attempt(outcomes.Replaced(error.messages, error.edges), error=error)
        case Ignore():
            return Attempt(outcomes.Ignored(), error=error)
        case Reject():
            line, _ = _record(task, request, error, "rejected", None)
            return Attempt(outcomes.Rejected(line, error.requeue), error=error)
        case TaskRevokedError() if request.revoked:
            return Attempt(outcomes.Revoked(describe_revocation("revoked", request)), error=error)
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
    line, text = _record(task, request, cause, "retry", format_traceback(cause))
    return Attempt(outcomes.Retry(line, **change), error=again, traceback=text)


def _failed(task: Task, request: Request, error: BaseException) -> Attempt:
    line, text = _record(task, request, error, "failure", format_traceback(error))
    keep = not request.ignore_result or task.store_errors_even_if_ignored
    return Attempt(outcomes.Failure(line, keep), error=error, traceback=text)


def _record(task: Task, request: Request, error: BaseException, kind: str, text: str | None) -> tuple[str, str | None]:
    """Write an error down, and its traceback, without what is not to be shown."""
    line = describe(error, kind, request, text)
    if not (secrets := secrets_of(task, request)):
        return line, text
    return hide_in_record(line, secrets), text and hide(text, secrets)


def after(task: Task, request: Request, attempt: Attempt) -> None:
    """Run hooks and signals that follow a recorded end (TASK-2); what one raises is logged and keeps no other back."""
    with running(task, request):
        for step in _steps_after(task, request, attempt):
            try:
                step()
            except BaseException as error:
                logger.exception("a hook of %s[%s] failed", task.name, request.id)
                tell_internal_error(task, request, error)


def tell_internal_error(task: Task, request: Request, error: BaseException) -> None:
    """Tell of what went wrong around a body (TASK-2)."""
    facts = {"exception": error, "traceback": error.__traceback__, "einfo": format_traceback(error)}
    run = {"task_id": request.id, "args": request.args, "kwargs": request.kwargs}
    signals.send(signals.task_internal_error, task, request=request, **run, **facts)


def _steps_after(task: Task, request: Request, attempt: Attempt) -> Iterator[Callable[[], None]]:
    outcome, value, error, text = attempt.outcome, attempt.value, attempt.error, attempt.traceback
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
        case outcomes.Revoked():
            why = {"terminated": False, "signum": None, "expired": False}
            yield partial(signals.send, signals.task_revoked, task, request=request, task_id=request.id, **why)
        case outcomes.Rejected():
            yield partial(signals.send, signals.task_rejected, task, message=request, exc=error)
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
        case outcomes.Ignored() | outcomes.Replaced():
            return states.IGNORED
        case outcomes.Rejected():
            return states.REJECTED
        case outcomes.Revoked():
            return states.REVOKED
    return states.FAILURE


def report(task: Task, request: Request, attempt: Attempt) -> None:
    """Log how a run ended: what a task expects (TASK-3) without a traceback, and arguments never (S10)."""
    task.before_recorded(request, attempt)
    if not logger.isEnabledFor(logging.INFO) and not isinstance(attempt.outcome, outcomes.Failure):
        return
    name, run = f"{request.shadow or task.name}[{request.id}]", run_fields(task, request)
    match attempt.outcome:
        case outcomes.Success():
            logger.info("%s succeeded in %.3fs", name, attempt.seconds, extra=run)
        case outcomes.Retry():
            logger.info("%s is to be retried: %s", name, _words_of(task, request, attempt.error), extra=run)
        case outcomes.Failure() if task.throws and isinstance(attempt.error, task.throws):
            kind, words = type(attempt.error).__name__, _words_of(task, request, attempt.error)
            logger.info("%s failed as expected: %s: %s", name, kind, words, extra=run)
        case outcomes.Failure() if sensitivity(task, request.options):
            # What others make of the exception itself would show what is masked.
            logger.error("%s failed", name, extra={**run, "traceback": attempt.traceback})
        case outcomes.Failure():
            logger.error("%s failed", name, exc_info=attempt.error, extra=run)
        case _:
            logger.info("%s: %s", name, _words_of(task, request, attempt.error), extra=run)


def _words_of(task: Task, request: Request, error: BaseException | None) -> str:
    return hide(message_of(error), secrets_of(task, request))
