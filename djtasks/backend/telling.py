"""Django's signals of tasks, sent for its own; a receiver that raises harms nobody."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.utils import timezone

from djtasks.backend import results
from djtasks.backend.history import error_of
from djtasks.compat import InvalidTaskBackend, TaskResultDoesNotExist, TaskResultStatus, signals, task_backends
from djtasks.tasks.masking import sensitivity
from djtasks.tasks.task import Task


def enqueued(backend: Any, task_result: Any) -> None:
    """Tell that a message is there."""
    signals.task_enqueued.send_robust(type(backend), task_result=task_result)


def started(task: Task) -> None:
    """Tell that a body is about to begin."""
    _tell(signals.task_started, results.of_run(task, task.request, TaskResultStatus.RUNNING))


def succeeded(task: Task, value: Any) -> None:
    """Tell that a body has ended, and its value is recorded."""
    made = results.of_run(task, task.request, TaskResultStatus.SUCCESSFUL, finished_at=timezone.now())
    _tell(signals.task_finished, results.with_value(made, value))


def failed(task: Task, error: BaseException, traceback: str) -> None:
    """Tell that a task has failed for good; Django's logging finds the exception where it looks for it."""
    kind = type(error)
    record = {"type": f"{kind.__module__}.{kind.__qualname__}", "message": str(error), "traceback": traceback}
    facts = {"finished_at": timezone.now(), "errors": [error_of(record)]}
    made = _read(task) or results.of_run(task, task.request, TaskResultStatus.FAILED, **facts)
    if sensitivity(task, task.request.options):
        # The exception itself would show what is masked in its record.
        _tell(signals.task_finished, made)
        return
    try:
        raise error
    except BaseException:
        _tell(signals.task_finished, made)


def _read(task: Task) -> Any:
    """Read what is recorded of a run that was lost elsewhere, if anything is."""
    if task.request.started_at is None:
        with suppress(TaskResultDoesNotExist):
            return results.read(task.request.id)
    return None


def _tell(signal: Any, task_result: Any) -> None:
    try:
        sender = type(task_backends[task_result.backend])
    except InvalidTaskBackend:
        # It was enqueued by a process with other settings.
        sender = None
    signal.send_robust(sender, task_result=task_result)
