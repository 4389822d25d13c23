"""django-ox on PostgreSQL."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnPostgres


def _worker(processes: int, threads: int) -> Arguments:
    shape = ("--processes", str(processes), "--concurrency", str(threads))
    return ("django", "ox_worker", *shape, "--verbosity", "0")


class DjangoOx(OnPostgres):
    """django-ox with connections that stay open, as its documents advise."""

    name = "django-ox"
    title = "django-ox + PostgreSQL"
    packages = ("django-ox", "Django")
    settings = "benchmarks.apps.django_ox_settings"
    modes: ClassVar = {"late": ""}
    lacks: ClassVar = {
        "early": "what a dead worker had begun is always run again",
        "no result kept": "each row is its result",
        "call to result": "has no way to wait for a result but to ask again and again",
    }
    workers: ClassVar = {
        "2 processes": (_worker(2, 1),),
        "2 processes, 8 threads": (_worker(2, 8),),
        "threads, 16": (_worker(1, 16),),
        "1 process": (_worker(1, 1),),
    }
    one_slot = frozenset({"1 process"})
    of_latency = of_computing = "2 processes"
    of_waiting = "threads, 16"
    of_backlogs = "2 processes, 8 threads"
    bulk = 20_000
    tables = ("django_ox_oxtask",)
    done = "SELECT count(*) FROM django_ox_oxtask WHERE status IN ('SUCCESSFUL', 'FAILED', 'LOST')"
    waiting = "SELECT count(*) FROM django_ox_oxtask WHERE status IN ('READY', 'RUNNING')"
