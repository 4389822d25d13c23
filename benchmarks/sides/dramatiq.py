"""dramatiq on Redis."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnRedis


def _worker(processes: int, threads: int) -> Arguments:
    shape = ("--processes", str(processes), "--threads", str(threads))
    return ("dramatiq", "benchmarks.apps.dramatiq", *shape)


class Dramatiq(OnRedis):
    """dramatiq with its middleware for results, and without that for metrics."""

    name = "dramatiq"
    title = "dramatiq + Redis"
    packages = ("dramatiq", "redis", "hiredis")
    modes: ClassVar = {"late": "", "no result kept": "_unkept"}
    lacks: ClassVar = {
        "early": "a message is acknowledged when its task has ended, and not before",
        "chord": "calls the body of a group without its results",
    }
    workers: ClassVar = {
        "2 processes, 8 threads": (_worker(2, 8),),
        "2 processes, 1 thread": (_worker(2, 1),),
        "threads, 16": (_worker(1, 16),),
        "1 process, 1 thread": (_worker(1, 1),),
    }
    one_slot = frozenset({"1 process, 1 thread"})
    of_latency = "2 processes, 8 threads"
    of_computing = "2 processes, 1 thread"
    of_waiting = "threads, 16"
    of_workflows = ("2 processes, 8 threads", "threads, 16")

    def left(self) -> int:
        # Also those that a worker holds: a message goes when it is acknowledged.
        return int(self.broker.hlen("dramatiq:default.msgs"))
