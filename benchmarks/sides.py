"""The two sides: how each is filled, worked and looked at; all that differs between them stands here."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, LiteralString

import psycopg

import djtasks
from benchmarks.programs import Program, RedisServer
from tests.servers import PostgresServer

ROOT = Path(__file__).parent.parent
Arguments = tuple[str, ...]

# As durable as PostgreSQL comes; room enough that no checkpoint falls into one drain and not into another.
POSTGRES_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}


class Side(ABC):
    """A queue, its results, its calling program, and its workers by name."""

    name: ClassVar[str]
    title: ClassVar[str]
    workers: ClassVar[dict[str, tuple[Arguments, ...]]]
    one_slot: ClassVar[frozenset[str]]
    of_latency: ClassVar[str]
    of_workflows: ClassVar[tuple[str, ...]]
    bulk: ClassVar[int]
    environment: dict[str, str]

    def produce(self, how: str, count: int, task: str) -> Any:
        """Run the calling program; return what it measured."""
        return json.loads(self.run("benchmarks.producer", self.name, how, str(count), task))

    def run(self, *arguments: str) -> bytes:
        """Run a Python program of this side to its end; return what it wrote."""
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, check=True).stdout

    @contextlib.contextmanager
    def working(self, workers: str) -> Iterator[list[Program]]:
        """Keep these workers at work."""
        programs: list[Program] = []
        try:
            for arguments in self.workers[workers]:
                programs.append(Program(sys.executable, "-m", *arguments, cwd=ROOT, env=self._environment))
            yield programs
        finally:
            for program in programs:
                program.stop()
            for program in programs:
                program.close()

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | self.environment

    @abstractmethod
    def results(self) -> int:
        """Count the results that are stored: a task counts once its result can be read."""

    @abstractmethod
    def left(self) -> int:
        """Count the messages that wait or are held."""

    @abstractmethod
    def stored(self) -> int:
        """Count the bytes that the server holds for messages, results and all that belongs to them."""

    @abstractmethod
    def clear(self) -> None:
        """Remove all messages and results, and let the server put its things in order."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Say what is measured."""


def _runworker(pool: str, slots: int) -> Arguments:
    return ("django", "runworker", "--pool", pool, "--concurrency", str(slots), "--loglevel", "warning")


class Djtasks(Side):
    """djtasks on PostgreSQL."""

    name = "djtasks"
    title = "djtasks + PostgreSQL"
    workers: ClassVar = {
        "processes, 2": (_runworker("processes", 2),),
        "processes, 8": (_runworker("processes", 8),),
        "threads, 16": (_runworker("threads", 16),),
        "2 solo workers": (_runworker("solo", 1), _runworker("solo", 1)),
        "processes, 1": (_runworker("processes", 1),),
        "solo": (_runworker("solo", 1),),
    }
    one_slot = frozenset({"processes, 1", "solo"})
    of_latency = "processes, 2"
    of_workflows = ("processes, 2", "threads, 16", "solo")
    bulk = 40_000

    def __init__(self, server: PostgresServer) -> None:
        self.environment = {"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
        self.run("django", "migrate", "--verbosity=0")
        self.connection = psycopg.connect(server.url, autocommit=True)

    def results(self) -> int:
        return int(self._answer("SELECT count(*) FROM djtasks_result"))

    def left(self) -> int:
        return int(self._answer("SELECT count(*) FROM djtasks_message"))

    def stored(self) -> int:
        tables = "djtasks_message", "djtasks_dependency", "djtasks_result"
        # Whole pages, also those of indexes; but not what an empty table has, too.
        return sum(int(self._answer(f"SELECT pg_total_relation_size('{table}')")) for table in tables)

    def clear(self) -> None:
        for statement in ("TRUNCATE djtasks_message, djtasks_result, djtasks_dependency", "VACUUM", "CHECKPOINT"):
            self.connection.execute(statement)

    def versions(self) -> dict[str, str]:
        return {
            "djtasks": djtasks.__version__,
            **{name: version(name) for name in ("Django", "psycopg", "orjson")},
            "PostgreSQL": self._answer("SHOW server_version"),
            "fsync": self._answer("SHOW fsync"),
            "synchronous_commit": self._answer("SHOW synchronous_commit"),
        }

    def _answer(self, query: LiteralString) -> str:
        (answer,) = self.connection.execute(query).fetchone() or ("",)
        return str(answer)


def _celery(pool: str, slots: int, name: str = "one") -> Arguments:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "warning")
    shape = ("--pool", pool, "--concurrency", str(slots), "--hostname", f"{name}@localhost")
    return ("celery", "--app", "benchmarks.celery_app", "worker", *quiet, *shape)


class CeleryWithRedis(Side):
    """Celery with messages and results in Redis, which keeps nothing on disk."""

    name = "celery"
    title = "Celery + Redis"
    workers: ClassVar = {
        "prefork, 2": (_celery("prefork", 2),),
        "prefork, 8": (_celery("prefork", 8),),
        "threads, 16": (_celery("threads", 16),),
        "2 solo workers": (_celery("solo", 1, "one"), _celery("solo", 1, "two")),
        "solo": (_celery("solo", 1),),
    }
    one_slot = frozenset({"solo"})
    of_latency = "prefork, 2"
    of_workflows = ("prefork, 2", "threads, 16", "solo")
    bulk = 4_000

    def __init__(self, server: RedisServer) -> None:
        # Results in a database of their own, so that Redis itself knows how many there are.
        self.environment = {"CELERY_BROKER": server.url(0), "CELERY_RESULTS": server.url(1)}
        self.broker, self.backend = server.connect(0), server.connect(1)

    def results(self) -> int:
        return int(self.backend.dbsize())

    def left(self) -> int:
        return int(self.broker.llen("celery")) + int(self.broker.hlen("unacked"))

    def stored(self) -> int:
        keys = ((connection, key) for connection in (self.broker, self.backend) for key in connection.scan_iter())
        return sum(int(connection.memory_usage(key, samples=0)) for connection, key in keys)

    def clear(self) -> None:
        self.broker.flushall()

    def versions(self) -> dict[str, str]:
        names = ("celery", "kombu", "redis", "hiredis")
        return {**{name: version(name) for name in names}, "Redis": str(self.broker.info()["redis_version"])}
