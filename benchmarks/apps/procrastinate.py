"""How procrastinate is called, within Django's transactions."""

from __future__ import annotations

from typing import Any

import django

from benchmarks.calling import Caller, Sending

django.setup()

from benchmarks.apps.procrastinate_tasks import TASKS  # noqa: E402

BULK = 1_000


class Calling(Caller):
    """Calls as a project would; all arguments have names."""

    def send(self, task: str, *args: Any) -> Any:
        return TASKS[task].defer(**named(args))

    @property
    def ways(self) -> dict[str, Sending]:
        return {"batch_defer": self._batch_defer}

    def _batch_defer(self, task: str, count: int) -> None:
        for start in range(0, count, BULK):
            TASKS[task].batch_defer(*(named((number, number)) for number in range(start, min(start + BULK, count))))


def named(args: tuple[Any, ...]) -> dict[str, Any]:
    """Give arguments the names that they have in the bodies."""
    return {"address": args[0]} if len(args) == 1 else dict(zip("xy", args, strict=True))
