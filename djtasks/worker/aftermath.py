"""Hooks and signals of ends that no body lived to tell: of messages that were lost, refused, revoked or ran too long.

They are called in a thread of their own, unless told otherwise, so that none of them holds up the consumer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from djtasks import signals
from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Failure, Outcome, Revoked
from djtasks.exceptions import DecodeError, TimeLimitExceeded, WorkerLostError
from djtasks.tasks import attempt, registry
from djtasks.tasks.context import running
from djtasks.tasks.task import Task
from djtasks.worker import judge
from djtasks.worker.execution import Holder
from djtasks.worker.isolation import isolated
from djtasks.worker.receipt import request_of

logger = logging.getLogger("djtasks.worker")


class Aftermath:
    """Tells those who listen, one end after the other."""

    def __init__(self, holder: Holder, executor: Executor | None = None) -> None:
        self.holder = holder
        self._executor = executor or ThreadPoolExecutor(1, "djtasks-aftermath")

    def tell(self, message: Reservation, outcome: Outcome) -> None:
        """Call what waits for this end, if anything does, once it has been recorded."""
        task = registry.find(message.task)
        match outcome:
            case Failure() if task is None and signals.task_unknown.receivers:
                self._call(partial(self._unknown, message, judge.error_of(outcome)))
            case Failure() if task is not None:
                self._failed(task, message, judge.error_of(outcome))
            case Revoked() if signals.task_revoked.receivers:
                self._call(partial(self._revoked, task, message, judge.reason_of(outcome)))

    def close(self) -> None:
        """Wait until all has been told."""
        self._executor.shutdown()

    def _call(self, step: Callable[[], None]) -> None:
        self._executor.submit(isolated, step)

    def _unknown(self, message: Reservation, error: BaseException) -> None:
        facts = {"message": request_of(message, self.holder), "exc": error, "name": message.task, "id": message.id}
        signals.send(signals.task_unknown, None, **facts)

    def _failed(self, task: Task, message: Reservation, error: BaseException) -> None:
        """Tell of a run that was lost or ended (WORK-3), or of a message that could not even be read."""
        if isinstance(error, (WorkerLostError, TimeLimitExceeded)):
            if signals.task_failure.receivers or task.has_hooks_after():
                self._call(partial(self._lost, task, message, error))
        elif isinstance(error, DecodeError):
            if signals.task_rejected.receivers:
                facts = {"message": request_of(message, self.holder), "exc": error}
                self._call(partial(signals.send, signals.task_rejected, task, **facts))
        elif signals.task_internal_error.receivers:
            self._call(partial(attempt.tell_internal_error, task, request_of(message, self.holder), error))

    def _lost(self, task: Task, message: Reservation, error: BaseException) -> None:
        request = request_of(message, self.holder)
        call = (message.id, request.args, request.kwargs)
        facts = {"task_id": message.id, "exception": error, "args": request.args, "kwargs": request.kwargs}
        steps: tuple[Callable[[], object], ...] = (
            lambda: task.on_failure(error, *call, ""),
            lambda: signals.send(signals.task_failure, task, **facts, traceback=None, einfo=None),
            lambda: task.after_return("FAILURE", error, *call, None),
        )
        with running(task, request):
            for step in steps:
                try:
                    step()
                except BaseException:
                    logger.exception("a hook of %s[%s] failed", task.name, message.id)

    def _revoked(self, task: Task | None, message: Reservation, reason: str) -> None:
        terminated = reason.startswith(judge.TERMINATED)
        signals.send(
            signals.task_revoked,
            task,
            request=request_of(message, self.holder),
            task_id=message.id,
            terminated=terminated,
            signum=reason.removeprefix(judge.TERMINATED) if terminated else None,
            expired=reason == "expired",
        )
