"""How the tasks of a side are called; each side's own way stands in ``apps/``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, cast

from django.db import transaction

Sending = Callable[[str, int], object]
# How long to wait for an answer that should be there in a moment.
PATIENCE = 60


class Caller(ABC):
    """Calls tasks by name, in the calling program of its side."""

    # How long an idle worker sleeps between two looks; 0 where it is woken.
    interval: ClassVar[float] = 0.0

    @abstractmethod
    def send(self, task: str, *args: Any) -> Any:
        """Call a task; return what its result can be had from."""

    def one_by_one(self, task: str, count: int) -> object:
        """Call a task again and again."""
        return [self.send(task, number, number) for number in range(count)]

    @property
    def ways(self) -> dict[str, Sending]:
        """Return the side's own ways to send many, by name; the first is the fastest."""
        return {}

    def fill(self, task: str, count: int) -> object:
        """Send many, in whatever way."""
        for way in self.ways.values():
            return way(task, count)
        return self.one_by_one(task, count)

    def fetch(self, handle: Any) -> Any:
        """Wait for the result of a call."""
        raise NotImplementedError

    def send_with_request(self, task: str, *args: Any) -> None:
        """Call a task in a request of Django's, so that it is sent if the transaction is committed."""
        self.send(task, *args)

    def compose(self, shape: str, size: int) -> Any:
        """Make a workflow of this shape, in the words of Celery's canvas."""
        raise NotImplementedError

    def flow(self, shape: str, size: int) -> Any:
        """Send a workflow of this shape, and wait for its last result."""
        return self.compose(shape, size).apply_async().get(timeout=PATIENCE)

    def beat(self, count: int) -> float:
        """Let so many schedules come due at the same moment; return the seconds until one beat has sent them all."""
        raise NotImplementedError


class OutsideCaller(Caller):
    """A caller whose messages do not lie in the database of the request, and must wait for its end."""

    def send_with_request(self, task: str, *args: Any) -> None:
        transaction.on_commit(lambda: self.send(task, *args))


def caller_of(side: str) -> Caller:
    """Make the caller of this side."""
    module = import_module(f"benchmarks.apps.{side.replace('-', '_')}")
    return cast("type[Caller]", module.Calling)()
