"""Which bodies have run too long: first they are told, then they are ended (WORK-3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from djtasks.domain.messages import Reservation
from djtasks.domain.options import check_limits, check_time_limit
from djtasks.tasks import registry
from djtasks.worker import judge
from djtasks.worker.holdings import Held, Holdings
from djtasks.worker.pools.base import Pool

Limit = tuple[float | None, float | None]


class Limits:
    """Soft and hard time limits in seconds: of the call over the task's over the worker's over the settings'.

    They are looked up for bodies that are still running when somebody looks, so that a short one costs nothing.
    """

    def __init__(self, pool: Pool, holdings: Holdings, soft: float | None = None, hard: float | None = None) -> None:
        self.pool = pool
        self.holdings = holdings
        self.soft = soft
        self.hard = hard
        self.changed: dict[str, Limit] = {}

    def change(self, task_name: str, soft: float | None = None, hard: float | None = None) -> None:
        """Give a task other limits in this worker; raise NotRegistered, TypeError or ValueError."""
        task = registry.get(task_name)
        for limit in (soft, hard):
            if limit is not None:
                check_time_limit(limit)
        check_limits(soft, hard)
        self.changed[task.name] = soft, hard

    def overdue(self, now: float) -> Iterator[tuple[Held, float]]:
        """Interrupt those whose soft limit has passed, once; yield those whose hard limit has, with that."""
        for token, since in self.pool.begun().items():
            if (held := self.holdings.in_pool(token)) is None:
                continue
            if held.limits is None:
                held.limits = self._of(held.message)
            soft, hard = held.limits
            if hard is not None and now - since >= hard:
                yield held, hard
            elif soft is not None and now - since >= soft:
                held.limits = None, hard
                self.pool.interrupt(token)

    def _of(self, message: Reservation) -> Limit:
        task = registry.find(message.task)
        if task is None:
            soft, hard = self.soft, self.hard
        elif task.name in self.changed:
            soft, hard = self.changed[task.name]
        else:
            soft = task.soft_time_limit if task.says("soft_time_limit") or self.soft is None else self.soft
            hard = task.time_limit if task.says("time_limit") or self.hard is None else self.hard
        given = judge.options_of(message)
        return _given(given, "soft_time_limit", soft), _given(given, "time_limit", hard)


def _given(options: dict[str, Any], name: str, otherwise: float | None) -> float | None:
    """Read a limit of the call; the row may have been spoilt by hand."""
    limit = options.get(name, otherwise)
    try:
        if limit is not None:
            check_time_limit(limit)
    except (TypeError, ValueError):
        return otherwise
    return limit
