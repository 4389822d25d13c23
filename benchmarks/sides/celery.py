"""Celery on Redis."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.programs import RedisServer
from benchmarks.sides.base import Arguments
from benchmarks.sides.stores import OnRedis


def _worker(pool: str, slots: int, name: str = "one") -> Arguments:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "warning")
    shape = ("--pool", pool, "--concurrency", str(slots), "--hostname", f"{name}@localhost")
    return ("celery", "--app", "benchmarks.apps.celery", "worker", *quiet, *shape)


class CeleryWithRedis(OnRedis):
    """Celery with messages and results in Redis, without the talk between its workers."""

    name = "celery"
    title = "Celery + Redis"
    packages = ("celery", "kombu", "redis", "hiredis")
    modes: ClassVar = {"late": "_late", "early": "", "no result kept": "_unkept"}
    workers: ClassVar = {
        "prefork, 2": (_worker("prefork", 2),),
        "prefork, 8": (_worker("prefork", 8),),
        "threads, 16": (_worker("threads", 16),),
        "threads, 64": (_worker("threads", 64),),
        "2 solo workers": (_worker("solo", 1, "one"), _worker("solo", 1, "two")),
        "prefork, 1": (_worker("prefork", 1),),
        "solo": (_worker("solo", 1),),
    }
    one_slot = frozenset({"prefork, 1", "solo"})
    of_latency = of_computing = "prefork, 2"
    of_waiting = "threads, 16"
    of_workflows = ("prefork, 2", "threads, 16", "solo")

    def addresses(self, server: RedisServer) -> dict[str, str]:
        return {"BROKER": server.url(0), "RESULTS": server.url(1)}

    def left(self) -> int:
        return int(self.broker.llen("celery")) + int(self.broker.hlen("unacked"))


class CeleryInDjango(CeleryWithRedis):
    """The same in a Django project, which Celery's worker makes ready for its tasks."""

    name = "celery in Django"
    title = "Celery in Django + Redis"
    packages = (*CeleryWithRedis.packages, "Django", "psycopg")
    caller = "celery"

    def environment_of(self, workers: str) -> dict[str, str]:
        return self.environment | self.project
