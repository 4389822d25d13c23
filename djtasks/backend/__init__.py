"""Django's own tasks on our rows: ``TASKS = {"default": {"BACKEND": "djtasks.backend.DjtasksBackend"}}``."""

from __future__ import annotations

from typing import Any

from djtasks.backend.declaring import DjangoTask, as_it_stood, django_task
from djtasks.backend.options import task_options
from djtasks.compat import BaseTaskBackend, InvalidTask
from djtasks.domain.identifiers import check_queue_name
from djtasks.tasks.definition import Definition

__all__ = ["DjangoTask", "DjtasksBackend", "django_task", "task_options"]


class DjtasksBackend(BaseTaskBackend):
    """Enqueues Django's tasks as messages, for the workers that run all others."""

    task_class = DjangoTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    # Backends are made as soon as a module declares a task, which may be before any model can be loaded.

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Insert the message of a task, or of one of our own; it is there as soon as the transaction commits."""
        from djtasks.backend.enqueueing import enqueue

        if isinstance(task, Definition):
            task = django_task(task, backend=self.alias)  # type: ignore[arg-type]
        self.validate_task(task)
        return enqueue(self, task, args, kwargs)

    def get_result(self, result_id: str) -> Any:
        """Read a task by its id; raise TaskResultDoesNotExist."""
        from djtasks.backend.results import read

        return read(result_id)

    def validate_task(self, task: Any) -> None:
        """Raise InvalidTask for what cannot be enqueued here; one of our own may be made of any callable."""
        super().validate_task(as_it_stood(task, func=as_it_stood) if isinstance(task.func, Definition) else task)
        try:
            check_queue_name(task.queue_name)
        except ValueError as error:
            raise InvalidTask(str(error)) from None

    def check(self, **kwargs: Any) -> list[Any]:
        """Report what is wrong with the settings of this backend."""
        from djtasks.backend.checking import check

        return [*super().check(**kwargs), *check(self.alias, self.queues, self.options)]
