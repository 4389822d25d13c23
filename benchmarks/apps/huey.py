"""huey with Redis for messages and results."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from huey import RedisHuey

from benchmarks.bodies import BODIES
from benchmarks.calling import PATIENCE, OutsideCaller, Sending

# A result wakes who waits for it.
huey = RedisHuey("benchmarks", url=os.environ["BROKER"], notify_result=True)


def unkept(body: Callable[..., Any]) -> Callable[..., None]:
    """Return nothing, of which nothing is kept."""

    @wraps(body)
    def silent(*args: Any) -> None:
        body(*args)

    return silent


TASKS = {name: huey.task(name=name)(body) for name, body in BODIES.items()}
TASKS |= {f"{name}_unkept": huey.task(name=f"{name}_unkept")(unkept(body)) for name, body in BODIES.items()}


class Calling(OutsideCaller):
    """Calls as a project would."""

    def send(self, task: str, *args: Any) -> Any:
        return TASKS[task](*args)

    @property
    def ways(self) -> dict[str, Sending]:
        return {"map": self._map}

    def _map(self, task: str, count: int) -> None:
        TASKS[task].map((number, number) for number in range(count))

    def fetch(self, handle: Any) -> Any:
        return handle.get(blocking=True, timeout=PATIENCE)
