"""The value of a task, which is waited for where it has not ended yet."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import takewhile
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from djtasks.domain import states
from djtasks.exceptions import ResultNotFound
from djtasks.models import Message, Result
from djtasks.tasks.context import may_join
from djtasks.tasks.results.graphs import Tree
from djtasks.tasks.results.nodes import Node
from djtasks.tasks.results.record import Recorded, outcome_of, states_of
from djtasks.tasks.results.waiting import check_that_workers_can_end, wait_until_gone


class Awaited(Recorded, Tree):
    """A task by its id, and by what others say of it: whose child it is, and whether its result is kept."""

    def __init__(
        self, id: str | UUID, task_name: str | None = None, parent: Node | None = None, ignored: bool = False
    ) -> None:
        super().__init__(id, task_name)
        self.ignored = ignored
        self._parent = parent

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
        knows, and RuntimeError inside a task (RES-5). A task that ignores its result gives None at once (RES-7). Where
        this one has not ended, and a parent that the handle was given has failed, that one's error is raised (RES-6).
        """
        follow = propagate and follow_parents
        if self._is_to_be_awaited(disable_sync_subtasks, follow):
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
        follow = propagate and follow_parents
        if await sync_to_async(self._is_to_be_awaited)(disable_sync_subtasks, follow):
            given_up = threading.Event()
            try:
                # A thread of its own: Django's one for such calls has to stay free for others.
                await asyncio.to_thread(wait_until_gone, self.id, timeout, interval, given_up)
            finally:
                given_up.set()
        return await sync_to_async(self._outcome)(propagate)

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> Any:
        """Raise what the task has raised, if it has ended so; else return what is known, and do not wait."""
        record = self._record()
        value = self.result
        if propagate and isinstance(record, Result) and record.state in states.PROPAGATE_STATES:
            raise value
        if callback is not None:
            callback(self.id, value)
        return value

    maybe_reraise = maybe_throw

    def _is_to_be_awaited(self, disable_sync_subtasks: bool, follow: bool) -> bool:
        """Say whether the message still lives; raise where to wait for it would be an error or have no end."""
        if disable_sync_subtasks:
            check_that_tasks_may_wait()
        if self.ignored:
            return False
        record = self._record()
        if isinstance(record, Result):
            return False
        if follow:
            self._raise_error_of_parents()
        if record is None:
            raise not_found(self.id)
        check_that_workers_can_end([self.id])
        return True

    def _outcome(self, propagate: bool) -> Any:
        """Return the value of what has ended; None where its result was not kept."""
        record = None if self.ignored else self._result() or self._record()
        if isinstance(record, Message):
            raise not_visible(self.id)
        if record is None:
            return None
        return outcome_of(record, propagate)

    def _raise_error_of_parents(self) -> None:
        """Raise the error of the first that failed of the given parents which failed one after the other."""
        if not (parents := list(self._given_parents())):
            return
        ends = states_of(leaf for parent in parents for leaf in parent._leaves())

        def broken(parent: Node) -> list[Awaited]:
            return [leaf for leaf in parent._leaves() if ends.get(leaf.id) in states.PROPAGATE_STATES]

        for parent in list(takewhile(broken, parents))[-1:]:
            broken(parent)[0]._outcome(propagate=True)


def check_that_tasks_may_wait() -> None:
    """Raise RuntimeError inside a task (RES-5)."""
    if not may_join():
        raise RuntimeError(
            "never wait for a result inside a task: where all workers wait, none is left to run what they wait "
            "for; use a chain or a callback, or allow_join_result() if another queue serves it"
        )


def not_found(task_id: str) -> ResultNotFound:
    """Make the error for an id that nobody knows."""
    return ResultNotFound(f"no task has the id {task_id}: it never was sent, its result has expired, or it was ignored")


def not_visible(task_id: str) -> RuntimeError:
    """Make the error for an end that only others see."""
    return RuntimeError(f"{task_id} has ended, but the transaction that is open here began before and cannot see it")
