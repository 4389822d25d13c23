"""Run a task here and now as a worker would: the same encoding, the same judgement, retries without waiting (MON-3)."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from djtasks.conf import settings
from djtasks.domain import outcomes, payloads, states
from djtasks.domain.identifiers import as_uuid, uuid7
from djtasks.models import Result
from djtasks.tasks import attempt
from djtasks.tasks.context import Request, current_request
from djtasks.tasks.result import EagerResult

if TYPE_CHECKING:
    from djtasks.tasks.task import Task


def apply(
    task: Task, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> EagerResult:
    """Run the task until it ends, each retry at once (RETRY-6), and return its EagerResult."""
    limit = settings.MAX_PAYLOAD_BYTES
    parent = current_request()
    request = Request(
        id=str(as_uuid(options["task_id"])) if options.get("task_id") else str(uuid7()),
        task=task.name,
        args=tuple(payloads.decode(payloads.encode(tuple(args or ()), where="args", max_bytes=limit))),
        kwargs=payloads.decode(payloads.encode(dict(kwargs or {}), where="kwargs", max_bytes=limit)),
        queue=options.get("queue") or task.queue,
        priority=options.get("priority") or 0,
        hostname=socket.gethostname(),
        parent_id=parent.id if parent else None,
        headers=dict(options.get("headers") or task.headers or {}),
        deliveries=1,
        called_directly=False,
        is_eager=True,
        started_at=datetime.now(tz=UTC),
    )
    request.root_id = (parent.root_id if parent else None) or request.id
    while True:
        ended = attempt.make(task, request)
        attempt.report(task, request, ended)
        attempt.after(task, request, ended)
        if not isinstance(ended.outcome, outcomes.Retry):
            break
        request.retries += 1
        request.deliveries += 1
        request.pending_retry = None
        if ended.outcome.args is not None:
            request.args = tuple(payloads.decode(ended.outcome.args))
        if ended.outcome.kwargs is not None:
            request.kwargs = payloads.decode(ended.outcome.kwargs)
    return _result_of(request, ended, options)


def _result_of(request: Request, ended: attempt.Attempt, options: Mapping[str, Any]) -> EagerResult:
    state = attempt.state_of(ended.outcome)
    value = ended.error if state in states.EXCEPTION_STATES else ended.value
    if isinstance(ended.outcome, outcomes.Success) and ended.outcome.value is not None:
        value = payloads.decode(ended.outcome.value)
    propagate = options.get("throw", settings.TASK_EAGER_PROPAGATES)
    if propagate and state == states.FAILURE and ended.error is not None:
        raise ended.error
    if settings.TASK_STORE_EAGER_RESULT and state in states.READY_STATES:
        _store(request, ended, state)
    return EagerResult(str(request.id), value, state, traceback=ended.traceback, name=request.task)


def _store(request: Request, ended: attempt.Attempt, state: str) -> None:
    error = getattr(ended.outcome, "error", "")
    Result.objects.using(settings.DATABASE).create(
        id=request.id,
        task=request.task,
        args=list(request.args),
        kwargs=request.kwargs,
        queue=request.queue,
        state=state,
        value=ended.value if state == states.SUCCESS else None,
        errors=[json.loads(error)] if error else [],
        retries=request.retries,
        deliveries=request.deliveries,
    )
