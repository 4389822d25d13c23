"""django-q2 on PostgreSQL, by its broker for the ORM."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnPostgres

CLUSTER: Arguments = ("django", "qcluster", "--verbosity", "0")


class DjangoQ2(OnPostgres):
    """django-q2: one cluster, which takes many messages at a time for its processes."""

    name = "django-q2"
    title = "django-q2 + PostgreSQL"
    packages = ("django-q2", "Django")
    settings = "benchmarks.apps.django_q2_settings"
    modes: ClassVar = {"late": "", "no result kept": "_unkept"}
    lacks: ClassVar = {
        "early": "a message leaves its table when the task has ended, and not before",
        "enqueue in bulk": "has no call that sends many",
    }
    workers: ClassVar = {
        "processes, 2": (CLUSTER,),
        "processes, 16": (CLUSTER,),
        "processes, 1": (CLUSTER,),
    }
    one_slot = frozenset({"processes, 1"})
    of_latency = of_computing = "processes, 2"
    of_waiting = "processes, 16"
    tables = ("django_q_ormq", "django_q_task")
    done = "SELECT count(*) FROM django_q_task"
    waiting = "SELECT count(*) FROM django_q_ormq"

    def environment_of(self, workers: str) -> dict[str, str]:
        return self.environment | {"PROCESSES": workers.rpartition(" ")[2]}
