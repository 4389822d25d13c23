"""What sides have in common that keep their messages on the same kind of server."""

from __future__ import annotations

from typing import ClassVar, LiteralString, Self

import psycopg

from benchmarks.programs import RedisServer
from benchmarks.sides.base import Side
from benchmarks.sides.servers import Servers
from tests.servers import PostgresServer


class WithoutDjango(Side):
    """A side that knows nothing of Django: where a request is to send something, a plain project has the request."""

    database: str

    @property
    def project(self) -> dict[str, str]:
        """Where the plain project is found."""
        return {"DJANGO_SETTINGS_MODULE": "benchmarks.apps.plain_settings", "DATABASE_URL": self.database}

    def answer_requests(self, count: int) -> dict[str, list[float]]:
        self.run("django", "migrate", "--verbosity=0", **self.project)
        return dict(self.produce("requests", count, "add", **self.project))


class OnPostgres(Side):
    """A side whose messages and results are rows."""

    settings: ClassVar[str] = ""
    tables: ClassVar[tuple[LiteralString, ...]]
    done: ClassVar[LiteralString]
    waiting: ClassVar[LiteralString]

    def __init__(self, server: PostgresServer, database: str = "postgres") -> None:
        self.database = server.url.replace("/postgres?", f"/{database}?")
        self.environment = {"DATABASE_URL": self.database} | self._django
        self.connection = psycopg.connect(self.database, autocommit=True)
        self.prepare()

    @classmethod
    def start(cls, servers: Servers) -> Self:
        with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{cls.name}"'.encode())
        return cls(servers.postgres, cls.name)

    @property
    def _django(self) -> dict[str, str]:
        return {"DJANGO_SETTINGS_MODULE": self.settings} if self.settings else {}

    def prepare(self) -> None:
        """Make the tables."""
        self.run("django", "migrate", "--verbosity=0")

    def results(self) -> int:
        return int(self._answer(self.done))

    def left(self) -> int:
        return int(self._answer(self.waiting))

    def stored(self) -> int:
        # Whole pages, also those of indexes; but not what an empty table has, too.
        return sum(int(self._answer(f"SELECT pg_total_relation_size('{table}')")) for table in self.tables)

    def clear(self) -> None:
        for statement in ("TRUNCATE " + ", ".join(self.tables) + " CASCADE", "VACUUM", "CHECKPOINT"):
            self.connection.execute(statement)

    def versions(self) -> dict[str, str]:
        settings = ("fsync", "synchronous_commit")
        of_server = {"PostgreSQL": self._answer("SHOW server_version")}
        return super().versions() | of_server | {name: self._answer(f"SHOW {name}") for name in settings}

    def _answer(self, query: LiteralString) -> str:
        (answer,) = self.connection.execute(query).fetchone() or ("",)
        return str(answer)


class OnRedis(WithoutDjango):
    """A side whose messages and results lie in a Redis that keeps nothing on disk."""

    def __init__(self, server: RedisServer, database: str) -> None:
        self.server, self.database = server, database
        # Results in a database of their own, so that Redis itself knows how many there are.
        self.broker, self.backend = server.connect(0), server.connect(1)
        self.environment = self.addresses(server)

    def addresses(self, server: RedisServer) -> dict[str, str]:
        """Say where messages and results go, in the words of the side's app."""
        return {"BROKER": f"unix://{server.socket}?db=0", "RESULTS": f"unix://{server.socket}?db=1"}

    @classmethod
    def start(cls, servers: Servers) -> Self:
        return cls(servers.redis, servers.postgres.url)

    def results(self) -> int:
        return int(self.backend.dbsize())

    def stored(self) -> int:
        keys = ((connection, key) for connection in (self.broker, self.backend) for key in connection.scan_iter())
        return sum(int(connection.memory_usage(key, samples=0)) for connection, key in keys)

    def clear(self) -> None:
        self.broker.flushall()

    def versions(self) -> dict[str, str]:
        return super().versions() | {"Redis": str(self.broker.info()["redis_version"])}
