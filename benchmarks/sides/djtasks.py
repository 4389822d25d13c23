"""djtasks on PostgreSQL."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

import djtasks
from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnPostgres


def _runworker(pool: str, slots: int) -> Arguments:
    return ("django", "runworker", "--pool", pool, "--concurrency", str(slots), "--loglevel", "warning")


class Djtasks(OnPostgres):
    """djtasks with each of its pools."""

    name = "djtasks"
    title = "djtasks + PostgreSQL"
    packages = ("Django", "psycopg", "orjson")
    settings = "benchmarks.settings"
    modes: ClassVar = {"late": "_late", "early": "", "no result kept": "_unkept"}
    workers: ClassVar = {
        "processes, 2": (_runworker("processes", 2),),
        "processes, 8": (_runworker("processes", 8),),
        "threads, 16": (_runworker("threads", 16),),
        "threads, 64": (_runworker("threads", 64),),
        "2 solo workers": (_runworker("solo", 1), _runworker("solo", 1)),
        "processes, 1": (_runworker("processes", 1),),
        "solo": (_runworker("solo", 1),),
    }
    one_slot = frozenset({"processes, 1", "solo"})
    of_latency = of_computing = "processes, 2"
    of_waiting = "threads, 16"
    of_backlogs = "2 solo workers"
    of_workflows = ("processes, 2", "threads, 16", "solo")
    bulk = 40_000
    tables = ("djtasks_message", "djtasks_result", "djtasks_dependency")
    done = "SELECT count(*) FROM djtasks_result"
    waiting = "SELECT count(*) FROM djtasks_message"

    def versions(self) -> dict[str, str]:
        return {"djtasks": djtasks.__version__, "Django": version("Django")} | super().versions()
