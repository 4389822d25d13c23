"""dramatiq with Redis for messages and results."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import default_middleware
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks import bodies
from benchmarks.bodies import BODIES, unkept
from benchmarks.calling import PATIENCE, OutsideCaller, Sending

middleware = [make() for make in default_middleware if make.__name__ != "Prometheus"]
broker = RedisBroker(url=os.environ["BROKER"], middleware=middleware)
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["RESULTS"])))
dramatiq.set_broker(broker)

TASKS = {name: dramatiq.actor(actor_name=name, store_results=name != "begin")(body) for name, body in BODIES.items()}
TASKS |= {f"{name}_unkept": dramatiq.actor(actor_name=f"{name}_unkept")(unkept(body)) for name, body in BODIES.items()}

increase = dramatiq.actor(store_results=True)(bodies.increase)


class Calling(OutsideCaller):
    """Calls as a project would."""

    def send(self, task: str, *args: Any) -> Any:
        return TASKS[task].send(*args)

    @property
    def ways(self) -> dict[str, Sending]:
        return {"group": self._group}

    def _group(self, task: str, count: int) -> None:
        dramatiq.group(TASKS[task].message(number, number) for number in range(count)).run()

    def fetch(self, handle: Any) -> Any:
        return handle.get_result(block=True, timeout=1000 * PATIENCE)

    def flow(self, shape: str, size: int) -> Any:
        steps = [increase.message(0), *(increase.message() for _ in range(size - 1))]
        return dramatiq.pipeline(steps).run().get_result(block=True, timeout=1000 * PATIENCE)
