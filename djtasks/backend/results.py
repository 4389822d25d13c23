"""Django's TaskResult, made of the row of a message or a result, or of a run that is going on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from djtasks.backend import history
from djtasks.backend.declaring import DjangoTask, aliases, as_it_stood, is_ours
from djtasks.backend.history import Attempt, History, as_here
from djtasks.broker.vendors import shared_vendor
from djtasks.compat import TaskResult, TaskResultDoesNotExist, TaskResultStatus, normalize_json
from djtasks.domain import payloads, states
from djtasks.domain.identifiers import as_uuid
from djtasks.models import Message, Result
from djtasks.tasks import registry
from djtasks.tasks.context import Request
from djtasks.tasks.results.record import rows_of
from djtasks.tasks.task import Task

BACKEND = "backend"
RUN_AFTER = "run_after"


def read(task_id: object) -> Any:
    """Read a task by its id; raise TaskResultDoesNotExist where nothing is known, also of its code."""
    try:
        key = as_uuid(task_id)  # type: ignore[arg-type]
    except ValueError:
        raise TaskResultDoesNotExist(task_id) from None
    # The message first, since it becomes the result.
    record = rows_of(Message).filter(pk=key).first() or rows_of(Result).filter(pk=key).first()
    if record is None:
        raise TaskResultDoesNotExist(task_id)
    return of_record(record)


def of_record(record: Message | Result) -> Any:
    """Make the result of a row."""
    options = record.options if isinstance(record.options, Mapping) else {}
    if isinstance(record, Message):
        running = _is_running(record)
        facts = _facts_of(history.of_message(record, running))
        facts["status"] = TaskResultStatus.RUNNING if running else TaskResultStatus.READY
    else:
        succeeded = record.state == states.SUCCESS
        facts = _facts_of(history.of_result(record))
        facts["status"] = TaskResultStatus.SUCCESSFUL if succeeded else TaskResultStatus.FAILED
        facts["finished_at"] = record.finished_at
    standing = {"priority": record.priority, "queue_name": record.queue, "run_after": options.get(RUN_AFTER)}
    task = _task_of(record.task, options, standing)
    args = record.args if isinstance(record.args, list) else [record.args]
    kwargs = record.kwargs if isinstance(record.kwargs, dict) else {}
    made = make(task, str(record.pk), _as_json(args), _as_json(kwargs), enqueued_at=record.enqueued_at, **facts)
    return with_value(made, record.value) if isinstance(record, Result) else made


def of_run(task: Task, request: Request, status: Any, **facts: Any) -> Any:
    """Make the result of a run that is going on, or has just ended here."""
    worker = str(request.worker_id or request.hostname or "")
    done = _before(request, worker).and_then(Attempt(worker, as_here(request.started_at)))
    errors = [*done.errors, *facts.pop("errors", ())]
    standing = {
        "priority": request.priority,
        "queue_name": request.queue or task.queue,
        "run_after": request.options.get(RUN_AFTER),
    }
    return make(
        _task_of(task.name, request.options, standing),
        request.id or "",
        _as_json(list(request.args)),
        _as_json(request.kwargs),
        enqueued_at=as_here(request.enqueued_at),
        status=status,
        **{**_facts_of(done), **facts, "errors": errors},
    )


def make(task: Any, task_id: str, args: Any, kwargs: Any, **facts: Any) -> Any:
    """Make the result of a task, ready unless the facts say more; raise TypeError for arguments that are no JSON."""
    nothing = dict.fromkeys(("enqueued_at", "started_at", "last_attempted_at", "finished_at"))
    more = {"status": TaskResultStatus.READY, **nothing, "errors": [], "worker_ids": [], **facts}
    return TaskResult(task=task, id=task_id, args=args, kwargs=kwargs, backend=task.backend, **more)


def with_value(made: Any, value: Any) -> Any:
    """Let a result have this value; Django's own backends do it this way, since it is frozen."""
    object.__setattr__(made, "_return_value", value)
    return made


def _facts_of(done: History) -> dict[str, Any]:
    names = ("started_at", "last_attempted_at", "worker_ids", "errors")
    return {name: getattr(done, name) for name in names}


def _is_running(message: Message) -> bool:
    if message.started_at is None or message.leased_until is None:
        return False
    return bool(message.leased_until > shared_vendor().now())


def _before(request: Request, worker: str) -> History:
    """Read the attempts before this one, if there were any."""
    if request.is_eager:
        return History([Attempt(worker, as_here(request.started_at))] * request.retries, [])
    if not (request.retries or request.losses):
        return History([], [])
    for table in (Message, Result):
        if record := rows_of(table).filter(pk=request.id).first():
            return history.of_errors(each for each in record.errors if each.get("delivery", 0) < request.deliveries)
    return History([], [])


def _task_of(name: str, options: Mapping[str, Any], standing: Mapping[str, Any]) -> Any:
    """Return the task of Django's as it stands in the row."""
    task = registry.find(name)
    if task is None:
        raise TaskResultDoesNotExist(f"no task is named {name!r} here: is its module imported, and its app installed?")
    declared = getattr(task, "declared", None)
    backend = alias_of(declared, options)
    if declared is not None:
        return as_it_stood(declared, backend=backend, **standing)
    return as_it_stood(object.__new__(DjangoTask), func=task, takes_context=False, backend=backend, **standing)


def alias_of(declared: Any, options: Mapping[str, Any]) -> str:
    """Say to which backend a message was given: as it says itself, else its task's own, else the first of ours."""
    if isinstance(said := options.get(BACKEND), str):
        return said
    if declared is not None and is_ours(declared.backend):
        return str(declared.backend)
    return next(iter(aliases()), "default")


def _as_json(value: Any) -> Any:
    """Return arguments as Django's tasks know them; what only we can store is shown as it is stored."""
    try:
        return normalize_json(value)
    except (TypeError, ValueError):
        return json.loads(payloads.encode(value, where="arguments"))
