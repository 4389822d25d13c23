"""What is recorded of a task: read from its message while it lives, then from its result."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.domain.identifiers import as_uuid
from djtasks.exceptions import TaskRevokedError
from djtasks.models import Message, Result
from djtasks.tasks import errors


class Recorded:
    """A task by its id, as far as it can be read; what has ended is read once."""

    def __init__(self, id: str | UUID, task_name: str | None = None) -> None:
        self.id = str(as_uuid(id))
        self.task_name = task_name
        self._ended: Result | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __str__(self) -> str:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recorded) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def task_id(self) -> str:
        """The id again, by Celery's other name."""
        return self.id

    # States

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED or a state of the task's own (RES-1, RES-3)."""
        record = self._record()
        if isinstance(record, Result):
            return record.state
        return states.PENDING if record is None else record.current_state(shared_vendor().now())

    status = state

    def ready(self) -> bool:
        """Say whether the task has ended."""
        return self.state in states.READY_STATES

    def successful(self) -> bool:
        """Say whether the task has succeeded."""
        return self.state == states.SUCCESS

    def failed(self) -> bool:
        """Say whether the task has failed."""
        return self.state == states.FAILURE

    def exists(self) -> bool:
        """Say whether a message or a result has this id (RES-8)."""
        return self._record() is not None

    # Facts (RES-9)

    @property
    def result(self) -> Any:
        """The value, the exception, or what ``update_state`` has left; None while nothing is known."""
        record = self._record()
        if isinstance(record, Result):
            return record.value if record.state == states.SUCCESS else exception_of(record)
        if record is None:
            return None
        if record.meta is not None:
            return record.meta
        return errors.rebuild(record.errors[-1]) if record.retries and record.errors else None

    info = result

    @property
    def traceback(self) -> str | None:
        """The traceback of the last error, as text."""
        record = self._record()
        if record is None or (isinstance(record, Result) and record.state == states.SUCCESS) or not record.errors:
            return None
        text = record.errors[-1].get("traceback")
        return None if text is None else str(text)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What went wrong in each attempt, oldest first."""
        record = self._record()
        return [] if record is None else record.errors

    @property
    def date_done(self) -> datetime | None:
        """When the task ended."""
        record = self._record()
        return record.finished_at if isinstance(record, Result) else None

    @property
    def name(self) -> str | None:
        """The name of the task."""
        record = self._record()
        return record.task if record else self.task_name

    @property
    def args(self) -> Any:
        """The positional arguments."""
        record = self._record()
        return record.args if record else None

    @property
    def kwargs(self) -> Any:
        """The keyword arguments."""
        record = self._record()
        return record.kwargs if record else None

    @property
    def worker(self) -> str | None:
        """The name of the worker that ended it, or the id of the one that holds it."""
        record = self._record()
        if isinstance(record, Result) and record.hostname:
            return record.hostname
        return str(record.worker) if record and record.worker else None

    @property
    def queue(self) -> str | None:
        """The queue."""
        record = self._record()
        return record.queue if record else None

    @property
    def retries(self) -> int:
        """How often it was retried."""
        record = self._record()
        return record.retries if record else 0

    @property
    def deliveries(self) -> int:
        """How often a worker has reserved it."""
        record = self._record()
        return record.deliveries if record else 0

    # Reading

    def _record(self) -> Message | Result | None:
        """Read what there is; the message first, since it becomes the result and never the other way round."""
        if self._ended is not None:
            return self._ended
        message: Message | None = self._table(Message).filter(pk=self.id).first()
        if message is not None:
            return message
        self._ended = self._table(Result).filter(pk=self.id).first()
        return self._ended

    def _table(self, table: Any) -> Any:
        return table.objects.using(settings.DATABASE)


def exception_of(record: Result) -> BaseException:
    """Make the exception that waiting for this result raises (RES-4)."""
    error = record.error or {"type": "djtasks.exceptions.WorkerLostError", "message": "unknown error"}
    if record.state == states.REVOKED:
        return TaskRevokedError(error.get("reason") or "revoked")
    return errors.rebuild(error)
