"""Run a task here and now as a worker would: the same encoding, the same judgement, retries without waiting (MON-3)."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from djtasks.conf import settings
from djtasks.domain import outcomes, payloads, states
from djtasks.domain.ends import End
from djtasks.domain.messages import NewMessage
from djtasks.models import Result
from djtasks.tasks import attempt
from djtasks.tasks.attempt import Attempt
from djtasks.tasks.canvas import errbacks
from djtasks.tasks.context import Request, moment_of
from djtasks.tasks.results.record import exception_of
from djtasks.tasks.results.result import EagerResult

if TYPE_CHECKING:
    from djtasks.tasks.task import Task


def run(
    task: Task, message: NewMessage, retries: int = 0, throw: bool | None = None, handed: str | None = None
) -> EagerResult:
    """Run the task until it ends, each retry at once (RETRY-6); with ``throw`` raise what it raises.

    ``handed`` is what its upstreams have handed over, as ``Request.read`` takes it.
    """
    request = Request(
        id=message.id,
        task=message.task,
        retries=retries,
        deliveries=retries + 1,
        eta=moment_of(message.due_at),
        expires=moment_of(message.expires_at),
        hostname=socket.gethostname(),
        is_eager=True,
        started_at_seconds=time.time(),
    )
    request.read(message, task, handed)
    if "failed" in request.options:
        request.args = (*errbacks.arguments_of(task, request.options["failed"]), *request.args)
    lines = []
    while isinstance((ended := _attempt(task, request)).outcome, outcomes.Retry):
        lines.append(ended.outcome.error)
        _again(request, ended.outcome)
    result = _result_of(request, ended, lines)
    if ended.error is not None and result.failed() and (settings.TASK_EAGER_PROPAGATES if throw is None else throw):
        raise ended.error
    return result


def _attempt(task: Task, request: Request) -> Attempt:
    ended = attempt.make(task, request)
    attempt.report(task, request, ended)
    attempt.after(task, request, ended)
    return ended


def _again(request: Request, change: outcomes.Retry) -> None:
    request.retries += 1
    request.deliveries += 1
    request.pending_retry = None
    request.queue = change.queue or request.queue
    request.priority = request.priority if change.priority is None else change.priority
    if change.args is not None:
        request.args = tuple(payloads.decode(change.args))
    if change.kwargs is not None:
        request.kwargs = payloads.decode(change.kwargs)


def _result_of(request: Request, ended: Attempt, lines: list[str]) -> EagerResult:
    outcome, value, error, text = ended.outcome, ended.value, ended.error, ended.traceback
    state = attempt.state_of(outcome)
    if isinstance(outcome, outcomes.Rejected) and not outcome.requeue:
        state = states.FAILURE
    if isinstance(outcome, outcomes.Success) and outcome.value is not None:
        value = payloads.decode(outcome.value)
    value = error if state in states.EXCEPTION_STATES else value
    facts: dict[str, Any] = {
        "id": request.id,
        "group": request.group,
        "options": request.options,
        "task": request.task,
        "args": list(request.args),
        "kwargs": request.kwargs,
        "queue": request.queue,
        "priority": request.priority,
        "root": request.root_id,
        "parent": request.parent_id,
        "state": state,
        "value": value if state == states.SUCCESS else None,
        "errors": [json.loads(line) for line in (*lines, getattr(outcome, "error", "")) if line],
        "retries": request.retries,
        "deliveries": request.deliveries,
        "hostname": request.hostname,
        "started_at": _moment(request.started_at or datetime.now(tz=UTC)),
        "finished_at": timezone.now(),
    }
    record = Result(**facts)
    if settings.TASK_STORE_EAGER_RESULT and state in states.READY_STATES and getattr(outcome, "keep", True):
        _store(record)
    return EagerResult(record.id, value, state, text, request.task, record)


def unrun(message: NewMessage, end: End) -> EagerResult:
    """Make the result of a message that could not run."""
    facts = {"id": message.id, "task": message.task, "queue": message.queue, "priority": message.priority}
    facts |= {"root": message.root, "parent": message.parent, "group": message.group, "finished_at": timezone.now()}
    texts = {name: getattr(message, name) for name in ("args", "kwargs", "options")}
    record = Result(**facts, **{name: payloads.decode(text) for name, text in texts.items()})
    record.state, record.errors = end.state or states.IGNORED, [json.loads(end.error)] if end.error else []
    value = exception_of(record) if end.error else None
    if settings.TASK_STORE_EAGER_RESULT and end.state is not None:
        _store(record)
    return EagerResult(record.id, value, record.state, None, record.task, record)


def _store(record: Result) -> None:
    if (seconds := settings.result_expires_seconds) is not None:
        record.expires_at = timezone.now() + timedelta(seconds=seconds)
    record.save(using=settings.DATABASE)


def _moment(aware: datetime) -> datetime:
    """The moment as this project's kind of datetime."""
    return aware if timezone.is_aware(timezone.now()) else timezone.make_naive(aware)
