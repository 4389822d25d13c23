"""pgqueuer on PostgreSQL, by asyncpg."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnPostgres, WithoutDjango

UNLIMITED = 0


def _worker(batch: int, most: int = UNLIMITED) -> Arguments:
    return ("benchmarks.apps.pgqueuer_worker", str(batch), str(most))


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
        "2 processes, batch 100": (_worker(100), _worker(100)),
        "2 processes, batch 500": (_worker(500), _worker(500)),
        "2 processes, batch 10": (_worker(10), _worker(10)),
        "1 process, batch 100": (_worker(100),),
        "1 process, 16 at a time": (_worker(8, 16),),
    }
    one_slot = frozenset({"1 process, batch 100"})
    of_latency = of_computing = "2 processes, batch 10"
    of_waiting = "1 process, 16 at a time"
    of_backlogs = "2 processes, batch 500"
    bulk = 40_000
    tables = ("pgqueuer", "pgqueuer_log", "pgqueuer_statistics")
    done = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
    waiting = "SELECT count(*) FROM pgqueuer"

    def prepare(self) -> None:
        self.run("pgqueuer", "install", PGDSN=self.database)
