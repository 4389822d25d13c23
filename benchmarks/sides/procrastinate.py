"""procrastinate on PostgreSQL, with its app for Django."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnPostgres


def _worker(tasks: int) -> Arguments:
    return ("django", "procrastinate", "worker", "--concurrency", str(tasks))


class Procrastinate(OnPostgres):
    """procrastinate with more tasks at a time, or more workers."""

    name = "procrastinate"
    title = "procrastinate + PostgreSQL"
    packages = ("procrastinate",)
    settings = "benchmarks.apps.procrastinate_settings"
    modes: ClassVar = {"late": ""}
    lacks: ClassVar = {
        "early": "what a dead worker held can always be run again, by a task that looks for it",
        "no result kept": "keeps no result ever; its rows stay, with what happened to them",
        "call to result": "keeps no results",
    }
    workers: ClassVar = {
        "2 processes": (_worker(1), _worker(1)),
        "2 processes, 16 at a time": (_worker(16), _worker(16)),
        "1 process, 16 at a time": (_worker(16),),
        "1 process": (_worker(1),),
    }
    one_slot = frozenset({"1 process"})
    of_latency = of_computing = "2 processes"
    of_waiting = "1 process, 16 at a time"
    of_backlogs = "2 processes, 16 at a time"
    bulk = 20_000
    tables = ("procrastinate_jobs", "procrastinate_events")
    done = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
    waiting = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
