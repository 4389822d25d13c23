"""The handle of a task that was sent: its state, its result, and the wait for it."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections

from djtasks.broker import revoke as broker_revoke
from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.broker.vendors.base import RESULTS_CHANNEL
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.domain.identifiers import as_uuid
from djtasks.exceptions import ResultNotFound, TaskRevokedError, TimeoutError
from djtasks.models import Message, Result
from djtasks.tasks import errors
from djtasks.tasks.context import may_join


class AsyncResult:
    """A task by its id: what is known of it is read from its message while it lives, then from its result.

    An id that nobody knows reads PENDING, and ``exists()`` is false.
    """

    def __init__(
        self, id: str | UUID, task_name: str | None = None, parent: AsyncResult | None = None, ignored: bool = False
    ) -> None:
        self.id = str(as_uuid(id))
        self.task_name = task_name
        self.ignored = ignored
        self._parent = parent
        self._ended: Result | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __str__(self) -> str:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def task_id(self) -> str:
        """The id again, by Celery's other name."""
        return self.id

    # States

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED or a state of the task's own."""
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

    # What is recorded

    @property
    def result(self) -> Any:
        """The value, the exception, or what ``update_state`` has left; None while nothing is known."""
        record = self._record()
        if isinstance(record, Result):
            return record.value if record.state == states.SUCCESS else self._exception(record)
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

    @property
    def parent(self) -> AsyncResult | None:
        """The task in which this one was sent, or None."""
        if self._parent is None and (record := self._record()) and record.parent:
            self._parent = AsyncResult(record.parent)
        return self._parent

    @property
    def children(self) -> list[AsyncResult]:
        """The tasks that were sent in this one, oldest first."""
        ids = {
            pk
            for table in (Message, Result)
            for pk in self._table(table).filter(parent=self.id).values_list("pk", flat=True)
        }
        return [AsyncResult(pk) for pk in sorted(ids)]

    # Waiting

    def get(
        self, timeout: float | None = None, propagate: bool = True, interval: float = 0.5, follow_parents: bool = True
    ) -> Any:
        """Wait for the end and return the value, or raise what the task raised (RES-4).

        Raises TimeoutError after ``timeout`` seconds, TaskRevokedError, ResultNotFound at once for an id that nobody
        knows, and RuntimeError inside a task (RES-5). A task that ignores its result gives None at once (RES-7).
        """
        if not may_join():
            raise RuntimeError(
                "never wait for a result inside a task: where all workers wait, none is left to run what they wait "
                "for; use a chain or a callback, or allow_join_result() if another queue serves it"
            )
        if self.ignored:
            return None
        if self._record() is None:
            raise ResultNotFound(
                f"no task has the id {self.id}: it never was sent, its result has expired, or it was ignored"
            )
        if self._ended is None:
            self._wait(timeout, interval)
        if self._ended is None:
            return None
        if self._ended.state in states.PROPAGATE_STATES:
            error = self._exception(self._ended)
            if propagate:
                raise error
            return error
        return self._ended.value

    wait = get

    async def aget(self, timeout: float | None = None, propagate: bool = True, interval: float = 0.5) -> Any:
        """``get`` from a coroutine."""
        return await sync_to_async(self.get, thread_sensitive=False)(timeout, propagate, interval)

    def _wait(self, timeout: float | None, interval: float) -> None:
        """Wait until the message is gone, woken by the announcement of its end where there is one."""
        deadline = None if timeout is None else time.monotonic() + timeout
        vendor = private_vendor()
        try:
            if connections[settings.DATABASE].in_atomic_block and not vendor.lives(self.id) and not self._has_ended():
                raise RuntimeError(
                    f"{self.id} was sent in the transaction that is still open here: no worker can see it yet; "
                    "wait for it after the commit"
                )
            self._listen(vendor, deadline, timeout, interval)
        finally:
            vendor.connection.close()
        self._record()

    def _listen(self, vendor: Vendor, deadline: float | None, timeout: float | None, interval: float) -> None:
        with vendor.listen(RESULTS_CHANNEL) as listener:
            vendor.await_result(self.id)
            while vendor.lives(self.id):
                left = interval if deadline is None else min(interval, deadline - time.monotonic())
                if left <= 0:
                    raise TimeoutError(f"{self.name or 'the task'} {self.id} has not ended within {timeout} seconds")
                listener.wait(left)

    def _has_ended(self) -> bool:
        return isinstance(self._record(), Result)

    # Changing

    def forget(self) -> None:
        """Delete the result (RES-10)."""
        self._table(Result).filter(pk=self.id).delete()
        self._ended = None
        if self._parent is not None:
            self._parent.forget()

    def revoke(self) -> broker_revoke.Answer:
        """Revoke the task: "revoked" (its body never begins), "requested" (it may be running) or "too_late"."""
        return broker_revoke.revoke(as_uuid(self.id))

    # Reading

    def _record(self) -> Message | Result | None:
        """Read what there is; the message first, since it becomes the result and never the other way round."""
        if self._ended is not None:
            return self._ended
        message = self._table(Message).filter(pk=self.id).first()
        if message is not None:
            return message
        self._ended = self._table(Result).filter(pk=self.id).first()
        return self._ended

    def _table(self, table: Any) -> Any:
        return table.objects.using(settings.DATABASE)

    def _exception(self, record: Result) -> BaseException:
        error = record.error
        if record.state == states.REVOKED:
            return TaskRevokedError((error or {}).get("reason") or "revoked")
        return errors.rebuild(error or {"type": "djtasks.exceptions.WorkerLostError", "message": "unknown error"})


class EagerResult(AsyncResult):
    """The result of a task that was run here and now; nothing is read from the database."""

    def __init__(self, id: str, value: Any, state: str, traceback: str | None = None, name: str | None = None) -> None:
        super().__init__(id, task_name=name)
        self._value = value
        self._state = state
        self._traceback = traceback

    @property
    def state(self) -> str:
        """How the task ended."""
        return self._state

    status = state

    @property
    def result(self) -> Any:
        """The value, or the exception."""
        return self._value

    info = result

    @property
    def traceback(self) -> str | None:
        """The traceback of the error, as text."""
        return self._traceback

    def get(
        self, timeout: float | None = None, propagate: bool = True, interval: float = 0.5, follow_parents: bool = True
    ) -> Any:
        """Return the value, or raise what the task raised."""
        if propagate and self._state in states.PROPAGATE_STATES and isinstance(self._value, BaseException):
            raise self._value
        return self._value

    wait = get

    def revoke(self) -> broker_revoke.Answer:
        """It has ended already."""
        return "too_late"

    def _record(self) -> None:
        return None
