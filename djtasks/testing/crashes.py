"""Workers that die where a test wants them to, as in a power cut: nothing more is done, and the lease runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

from djtasks.domain.messages import Reservation
from djtasks.tasks.task import Task

RESERVED = "reserved"
BEGUN = "begun"
ENDED = "ended"
SETTLED = "settled"
POINTS = {
    RESERVED: "the message is held, and nothing else has happened",
    BEGUN: "it is noted that the body begins, which it does not",
    ENDED: "the body has ended, and nobody is told how",
    SETTLED: "its outcome is written, and no hook has run",
}


class Crash(BaseException):
    """The worker is dead; no body is to catch it."""


class Plan:
    """Where workers are to die, and how often they have."""

    def __init__(self, point: str, task_name: str | None, times: int) -> None:
        self.point = point
        self.task_name = task_name
        self.times = times
        self.deaths = 0

    def die(self) -> None:
        """Die, unless nobody is at work, or on another task, or it has happened often enough."""
        if not _at_work or self.deaths >= self.times:
            return
        message = _at_work[-1]
        if self.task_name in (None, message.task):
            self.deaths += 1
            raise Crash(f"at {self.point}, in {message.task}[{message.id}]")


_plans: list[Plan] = []
_at_work: list[Reservation] = []


@contextmanager
def crash_at(point: str, *, task: Task | str | None = None, times: int = 1) -> Iterator[None]:
    """Let the worker that comes to this point die; the next one goes on when the lease has run out.

    A point is "reserved", "begun", "ended" or "settled", or the dotted name of a function: it dies instead of calling
    that. Raises AssertionError if no worker came there so many times.
    """
    if point not in POINTS and "." not in point:
        raise ValueError(f"there is no point {point!r}: say one of {', '.join(POINTS)}, or name a function with dots")
    plan = Plan(point, task.name if isinstance(task, Task) else task, times)
    with nullcontext() if point in POINTS else _instead_of(point, plan):
        _plans.append(plan)
        try:
            yield
        finally:
            _plans.remove(plan)
    if plan.deaths < times:
        whose = f" of {plan.task_name}" if plan.task_name else ""
        raise AssertionError(f"workers came to {point!r}{whose} {plan.deaths} of {times} times: did anything run?")


@contextmanager
def at_work(message: Reservation) -> Iterator[None]:
    """Say on what a worker is at work."""
    _at_work.append(message)
    try:
        yield
    finally:
        _at_work.pop()


def reach(point: str) -> None:
    """Say that the worker has come to this point."""
    for plan in list(_plans):
        if plan.point == point:
            plan.die()


def deaths() -> int:
    """Count those that have happened where a body may have kept them to itself."""
    return sum(plan.deaths for plan in _plans)


def _instead_of(name: str, plan: Plan) -> AbstractContextManager[Any]:
    usual = resolve_name(name)

    @wraps(usual)
    def die_or_call(*args: Any, **kwargs: Any) -> Any:
        plan.die()
        return usual(*args, **kwargs)

    return patch(name, new=die_or_call)
