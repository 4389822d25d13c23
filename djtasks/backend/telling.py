"""Django's signals of tasks, sent for its own; a receiver that raises harms nobody."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.utils import timezone

from djtasks.backend import results
from djtasks.backend.history import error_of
from djtasks.compat import InvalidTaskBackend, TaskResultDoesNotExist, TaskResultStatus, signals, task_backends
from djtasks.tasks.context import Request
from djtasks.tasks.masking import sensitivity
from djtasks.tasks.task import Task


def enqueued(backend: Any, task_result: Any) -> None:
    """Tell that a message is there."""
    signals.task_enqueued.send_robust(type(backend), task_result=task_result)


def is_end_awaited() -> bool:
    """Say whether anybody but Django's own log wants to hear of ends, who may then read what is recorded."""
    return any(key[0] != id(signals.log_task_finished) for key, *_ in signals.task_finished.receivers)


def started(task: Task, request: Request) -> None:
    """Tell that a body is about to begin."""
    _tell(signals.task_started, results.of_run(task, request, TaskResultStatus.RUNNING))


def succeeded(task: Task, request: Request, value: Any) -> None:
    """Tell that a body has returned a value."""
    made = results.of_run(task, request, TaskResultStatus.SUCCESSFUL, finished_at=timezone.now())
    _tell(signals.task_finished, results.with_value(made, value))


def failed(task: Task, request: Request, error: BaseException, traceback: str) -> None:
    """Tell that a task has failed for good; Django's logging finds the exception where it looks for it."""
    made = _read(request) or _failure(task, request, error, traceback)
    if sensitivity(task, request.options):
        # The exception itself would show what is masked in its record.
        _tell(signals.task_finished, made)
        return
    try:
        raise error
    except BaseException:
        _tell(signals.task_finished, made)


def _failure(task: Task, request: Request, error: BaseException, traceback: str) -> Any:
    path = f"{type(error).__module__}.{type(error).__qualname__}"
    told = error_of({"type": path, "message": str(error), "traceback": traceback})
    return results.of_run(task, request, TaskResultStatus.FAILED, finished_at=timezone.now(), errors=[told])


def _read(request: Request) -> Any:
    """Read what is recorded of a run that was lost elsewhere, if anything is."""
    if request.started_at is None:
        with suppress(TaskResultDoesNotExist):
            return results.read(request.id)
    return None


def _tell(signal: Any, task_result: Any) -> None:
    try:
        sender = type(task_backends[task_result.backend])
    except InvalidTaskBackend:
        # It was enqueued by a process with other settings.
        sender = None
    signal.send_robust(sender, task_result=task_result)
