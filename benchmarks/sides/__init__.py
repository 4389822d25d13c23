"""The sides: djtasks and its peers, in the order in which they are measured and shown."""

from __future__ import annotations

from benchmarks.sides.base import Side
from benchmarks.sides.celery import CeleryInDjango, CeleryWithRedis
from benchmarks.sides.django_ox import DjangoOx
from benchmarks.sides.django_q2 import DjangoQ2
from benchmarks.sides.django_tasks_db import DjangoTasksDb
from benchmarks.sides.djtasks import Djtasks
from benchmarks.sides.dramatiq import Dramatiq
from benchmarks.sides.huey import Huey
from benchmarks.sides.pgqueuer import Pgqueuer
from benchmarks.sides.procrastinate import Procrastinate
from benchmarks.sides.servers import POSTGRES_SETTINGS, Servers
from benchmarks.sides.stores import OnPostgres

__all__ = [
    "ALL",
    "POSTGRES_SETTINGS",
    "SIDES",
    "CeleryInDjango",
    "CeleryWithRedis",
    "Djtasks",
    "OnPostgres",
    "Servers",
    "Side",
]

SIDES: dict[str, type[Side]] = {
    side.name: side
    for side in (
        Djtasks,
        CeleryWithRedis,
        Pgqueuer,
        Procrastinate,
        DjangoTasksDb,
        DjangoOx,
        DjangoQ2,
        Dramatiq,
        Huey,
    )
}
ALL = tuple(SIDES)
