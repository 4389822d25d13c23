"""huey with Redis for messages and results."""

from __future__ import annotations

import os
from functools import reduce
from typing import Any

from huey import RedisHuey, chord

from benchmarks import bodies
from benchmarks.bodies import BODIES, unkept
from benchmarks.calling import PATIENCE, OutsideCaller, Sending

# A result wakes who waits for it.
huey = RedisHuey("benchmarks", url=os.environ["BROKER"], notify_result=True)


TASKS = {name: huey.task(name=name)(body) for name, body in BODIES.items()}
TASKS |= {f"{name}_unkept": huey.task(name=f"{name}_unkept")(unkept(body)) for name, body in BODIES.items()}


nothing, count, increase = map(huey.task(), (bodies.nothing, bodies.count, bodies.increase))


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

    def flow(self, shape: str, size: int) -> Any:
        if shape == "chord":
            sent = huey.enqueue(chord([nothing.s() for _ in range(size)], count.s()))
            return sent.get(blocking=True, timeout=PATIENCE)
        steps = reduce(lambda step, _: step.then(increase), range(size - 1), increase.s(0))
        return huey.enqueue(steps).get(blocking=True, timeout=PATIENCE)[-1]
