"""pgqueuer on PostgreSQL, by asyncpg."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnPostgres, WithoutDjango

QUIET = ("--log-level", "WARNING")


def _run(batch: int, most: int) -> Arguments:
    sizes = ("--batch-size", str(batch), "--max-concurrent-tasks", str(most))
    return ("pgqueuer", "run", "benchmarks.apps.pgqueuer:manager", *sizes, *QUIET)


class Pgqueuer(WithoutDjango, OnPostgres):
    """pgqueuer with large batches, which its documents name as the way to speed."""

    name = "pgqueuer"
    title = "pgqueuer + PostgreSQL"
    packages = ("pgqueuer", "asyncpg", "uvloop")
    modes: ClassVar = {"late": ""}
    lacks: ClassVar = {
        "early": "a message leaves its table when the task has ended, and not before",
        "no result kept": "keeps no result ever; its log of what was done is written in each mode",
        "call to result": "keeps no results",
    }
    workers: ClassVar = {
        "2 processes, batch 100": (_run(100, 200), _run(100, 200)),
        "2 processes, batch 10": (_run(10, 20), _run(10, 20)),
        "1 process, batch 100": (_run(100, 200),),
        "1 process, 16 at a time": (_run(8, 16),),
        # The fewest that it allows.
        "1 process, 2 at a time": (_run(1, 2),),
    }
    one_slot = frozenset({"1 process, 2 at a time"})
    of_latency = of_computing = "2 processes, batch 10"
    of_waiting = "1 process, 16 at a time"
    bulk = 40_000
    tables = ("pgqueuer", "pgqueuer_log", "pgqueuer_statistics")
    done = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
    waiting = "SELECT count(*) FROM pgqueuer"

    def prepare(self) -> None:
        self.run("pgqueuer", "install", PGDSN=self.database)
