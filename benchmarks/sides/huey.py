"""huey on Redis."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnRedis


def _consumer(kind: str, workers: int) -> Arguments:
    shape = ("--worker-type", kind, "--workers", str(workers))
    return ("huey.bin.huey_consumer", "benchmarks.apps.huey.huey", *shape, "--no-periodic", "--quiet")


class Huey(OnRedis):
    """huey with workers that Redis wakes."""

    name = "huey"
    title = "huey + Redis"
    packages = ("huey", "redis", "hiredis")
    modes: ClassVar = {"early": "", "no result kept": "_unkept"}
    lacks: ClassVar = {"late": "a message is gone when a worker has taken it"}
    workers: ClassVar = {
        "processes, 2": (_consumer("process", 2),),
        "processes, 8": (_consumer("process", 8),),
        "threads, 16": (_consumer("thread", 16),),
        "processes, 1": (_consumer("process", 1),),
        "thread": (_consumer("thread", 1),),
    }
    one_slot = frozenset({"processes, 1", "thread"})
    of_latency = of_computing = "processes, 2"
    of_waiting = "threads, 16"
    of_workflows = ("processes, 2", "threads, 16")
    results_key = "huey.results.benchmarks"

    def results(self) -> int:
        return int(self.broker.hlen(self.results_key))

    def left(self) -> int:
        return int(self.broker.llen("huey.redis.benchmarks"))
