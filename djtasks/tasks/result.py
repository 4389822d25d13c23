"""The handle of a task that was sent: its state, its result, and the wait for it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.utils import timezone

from djtasks.broker import revoke as broker_revoke
from djtasks.domain import states
from djtasks.domain.identifiers import as_uuid
from djtasks.exceptions import ResultNotFound
from djtasks.models import Message, Result
from djtasks.tasks.context import may_join
from djtasks.tasks.record import Recorded, exception_of
from djtasks.tasks.waiting import check_that_workers_can_end, wait_until_gone


class AsyncResult(Recorded):
    """A task by its id: what is known of it is read from its message while it lives, then from its result.

    An id that nobody knows reads PENDING, and ``exists()`` is false.
    """

    def __init__(
        self, id: str | UUID, task_name: str | None = None, parent: AsyncResult | None = None, ignored: bool = False
    ) -> None:
        super().__init__(id, task_name)
        self.ignored = ignored
        self._parent = parent

    # Relations

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
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        follow_parents: bool = True,
        disable_sync_subtasks: bool = True,
    ) -> Any:
        """Wait for the end and return the value, or raise what the task raised (RES-4).

        Raises TimeoutError after ``timeout`` seconds, TaskRevokedError, ResultNotFound at once for an id that nobody
        knows, and RuntimeError inside a task (RES-5). A task that ignores its result gives None at once (RES-7).
        """
        if self._is_to_be_awaited(disable_sync_subtasks):
            wait_until_gone(self.id, timeout, interval)
        return self._outcome(propagate)

    wait = get

    async def aget(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        follow_parents: bool = True,
        disable_sync_subtasks: bool = True,
    ) -> Any:
        """``get`` from a coroutine."""
        if await sync_to_async(self._is_to_be_awaited)(disable_sync_subtasks):
            given_up = threading.Event()
            try:
                # A thread of its own: Django's one for such calls has to stay free for others.
                await asyncio.to_thread(wait_until_gone, self.id, timeout, interval, given_up)
            finally:
                given_up.set()
        return await sync_to_async(self._outcome)(propagate)

    def _is_to_be_awaited(self, disable_sync_subtasks: bool) -> bool:
        """Say whether the message still lives; raise where to wait for it would be an error or have no end."""
        if disable_sync_subtasks and not may_join():
            raise RuntimeError(
                "never wait for a result inside a task: where all workers wait, none is left to run what they wait "
                "for; use a chain or a callback, or allow_join_result() if another queue serves it"
            )
        if self.ignored:
            return False
        record = self._record()
        if record is None:
            raise ResultNotFound(
                f"no task has the id {self.id}: it never was sent, its result has expired, or it was ignored"
            )
        if isinstance(record, Result):
            return False
        check_that_workers_can_end(self.id)
        return True

    def _outcome(self, propagate: bool) -> Any:
        """Return the value of what has ended; None where its result was not kept."""
        record = None if self.ignored else self._record()
        if isinstance(record, Message):
            raise RuntimeError(
                f"{self.id} has ended, but the transaction that is open here began before and cannot see it"
            )
        if record is None:
            return None
        if record.state not in states.PROPAGATE_STATES:
            return record.value
        if propagate:
            raise exception_of(record)
        return exception_of(record)

    # Changing

    def forget(self) -> None:
        """Delete the result, and those of its parents (RES-10)."""
        self._table(Result).filter(pk=self.id).delete()
        self._ended = None
        if self._parent is not None:
            self._parent.forget()

    def revoke(self) -> broker_revoke.Answer:
        """Revoke the task: "revoked" (its body never begins), "requested" (it may be running) or "too_late"."""
        return broker_revoke.revoke(as_uuid(self.id))


class EagerResult(AsyncResult):
    """The result of a task that was run here and now; nothing is read from the database."""

    def __init__(
        self,
        id: str | UUID,
        value: Any,
        state: str,
        traceback: str | None = None,
        name: str | None = None,
        record: Result | None = None,
    ) -> None:
        super().__init__(id, task_name=name)
        self._value = value
        self._traceback = traceback
        self._ended: Result = record or Result(id=self.id, task=name or "", state=state, finished_at=timezone.now())

    @property
    def result(self) -> Any:
        """The value, or the exception."""
        return self._value

    info = result

    @property
    def traceback(self) -> str | None:
        """The traceback of the error, as text."""
        return self._traceback

    def ready(self) -> bool:
        """It has ended already."""
        return True

    def forget(self) -> None:
        """There is nothing to delete."""

    def revoke(self) -> broker_revoke.Answer:
        """It has ended already."""
        return "too_late"

    def _is_to_be_awaited(self, disable_sync_subtasks: bool) -> bool:
        return False

    def _outcome(self, propagate: bool) -> Any:
        if propagate and self.state in states.PROPAGATE_STATES and isinstance(self._value, BaseException):
            raise self._value
        return self._value
