"""From Django's ``enqueue`` to a message: the same rows as those of ``delay``, in the same transaction."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from djtasks.backend import results, telling
from djtasks.backend.adopting import adopt
from djtasks.backend.declaring import as_it_stood
from djtasks.conf import settings
from djtasks.domain.identifiers import new_id
from djtasks.domain.messages import NewMessage
from djtasks.tasks import eager
from djtasks.tasks.preparing import UNSENT, Part, prepare
from djtasks.tasks.sending import insert
from djtasks.tasks.task import Task


def enqueue(backend: Any, task: Any, args: Any, kwargs: Any) -> Any:
    """Insert the message of a task, and return Django's result of it; raise TypeError for what is no JSON."""
    ours = adopt(task)
    given = task if task.backend == backend.alias else as_it_stood(task, backend=backend.alias)
    made = results.make(given, new_id(), args, kwargs)
    options = {"task_id": made.id, "queue": task.queue_name, "priority": int(task.priority), "eta": task.run_after}
    part = (UNSENT if settings.TASK_ALWAYS_EAGER else Part())._replace(kept=_kept(backend, task, ours))
    message = prepare(ours.name, ours, made.args, made.kwargs, options, part)
    if settings.TASK_ALWAYS_EAGER:
        return _run(backend, ours, message, made)
    # It was made here, so that nobody else can have this id.
    object.__setattr__(made, "enqueued_at", insert([message], ()))
    telling.enqueued(backend, made)
    return made


def _kept(backend: Any, task: Any, ours: Task) -> dict[str, Any]:
    """Return what only Django's tasks have: where it is not the task's own, the backend; and as it was said, when."""
    kept: dict[str, Any] = {}
    if results.alias_of(getattr(ours, "declared", None), {}) != backend.alias:
        kept[results.BACKEND] = backend.alias
    if task.run_after is not None:
        kept[results.RUN_AFTER] = task.run_after
    return kept


def _run(backend: Any, ours: Task, message: NewMessage, made: Any) -> Any:
    """Run a task here and now, where everything is eager."""
    object.__setattr__(made, "enqueued_at", timezone.now())
    telling.enqueued(backend, made)
    record = eager.run(ours, message)._record()
    assert record is not None  # noqa: S101, it has just been run
    record.enqueued_at = made.enqueued_at
    return results.of_record(record)
