"""What is recorded of a task: read from its message while it lives, then from its result."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.domain.batches import batches
from djtasks.domain.identifiers import canonical
from djtasks.exceptions import TaskRevokedError
from djtasks.models import Message, Result
from djtasks.tasks import errors

BATCH = 1000


class Identified:
    """What is known by its id, and found by its id among others, as Celery's handles are."""

    id: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __str__(self) -> str:
        return self.id

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Identified):
            return other.id == self.id
        return other == self.id if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)


class Recorded(Identified):
    """A task by its id, as far as it can be read; what has ended is read once."""

    # Whether there are rows of it.
    _stored: ClassVar[bool] = True

    def __init__(self, id: str | UUID, task_name: str | None = None) -> None:
        self.id = canonical(id)
        self.task_name = task_name
        self._ended: Result | None = None

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
        """Say whether the task has ended, also in a way that only a newer version knows."""
        record = self._record()
        return isinstance(record, Result)

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
            return exception_of(record) if record.state in states.PROPAGATE_STATES else record.value
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
        message: Message | None = rows_of(Message).filter(pk=self.id).first()
        return self._result() if message is None else message

    def _result(self) -> Result | None:
        if self._ended is None:
            self._ended = rows_of(Result).filter(pk=self.id).first()
        return self._ended


def states_of(tasks: Iterable[Recorded]) -> dict[str, str]:
    """Read in what states those have ended that have, a batch in one statement."""
    ended, unread = {}, []
    for task in tasks:
        if task._ended is not None:
            ended[task.id] = task._ended.state
        elif task._stored:
            unread.append(task.id)
    for some in batches(unread, BATCH):
        rows = rows_of(Result).filter(pk__in=some).values_list("pk", "state")
        ended.update((str(pk), state) for pk, state in rows)
    return ended


def load(tasks: Iterable[Recorded]) -> list[Recorded]:
    """Read the results of those that have ended, a batch in one statement; return whose were read now."""
    unread = [task for task in tasks if task._ended is None and task._stored]
    for some in batches(unread, BATCH):
        found = {str(row.pk): row for row in rows_of(Result).filter(pk__in=[task.id for task in some])}
        for task in some:
            task._ended = found.get(task.id)
    return [task for task in unread if task._ended is not None]


def unload(tasks: Iterable[Recorded]) -> None:
    """Let these be read anew."""
    for task in tasks:
        if task._stored:
            task._ended = None


def outcome_of(record: Result, propagate: bool) -> Any:
    """Return the value, or the exception, or raise that."""
    if record.state not in states.PROPAGATE_STATES:
        return record.value
    if propagate:
        raise exception_of(record)
    return exception_of(record)


def exception_of(record: Result) -> BaseException:
    """Make the exception that waiting for this result raises (RES-4), with what has caused it (CANV-8)."""
    error = record.error or {"type": "djtasks.exceptions.WorkerLostError", "message": "unknown error"}
    if record.state == states.REVOKED:
        return TaskRevokedError(error.get("reason") or "revoked")
    exception = errors.rebuild(error)
    if isinstance(cause := error.get("cause"), dict):
        exception.__cause__ = errors.rebuild(cause)
    return exception


def rows_of(table: Any) -> Any:
    """Return the rows of the queue's own database."""
    return table.objects.using(settings.DATABASE)
