"""django-tasks-db on PostgreSQL."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnPostgres

WORKER: Arguments = ("django", "db_worker", "--no-startup-delay", "--verbosity", "0")


class DjangoTasksDb(OnPostgres):
    """django-tasks-db, whose workers run one task at a time."""

    name = "django-tasks-db"
    title = "django-tasks-db + PostgreSQL"
    packages = ("django-tasks-db", "Django")
    settings = "benchmarks.apps.django_tasks_db_settings"
    modes: ClassVar = {"early": ""}
    lacks: ClassVar = {
        "late": "what a dead worker had begun is never run again",
        "no result kept": "each row is its result",
        "enqueue in bulk": "has no call that sends many",
        "call to result": "has no way to wait for a result but to ask again and again",
    }
    workers: ClassVar = {"2 processes": (WORKER, WORKER), "1 process": (WORKER,)}
    one_slot = frozenset({"1 process"})
    of_latency = of_computing = of_waiting = "2 processes"
    tables = ("django_tasks_database_dbtaskresult",)
    done = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status IN ('SUCCESSFUL', 'FAILED')"
    waiting = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status IN ('READY', 'RUNNING')"
