"""The servers that sides share, each started when the first side asks for it."""

from __future__ import annotations

import contextlib
from functools import cached_property

from benchmarks.programs import RedisServer
from tests.servers import PostgresServer

# As durable as PostgreSQL comes; room enough that no checkpoint falls into one drain and not into another.
POSTGRES_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}


class Servers(contextlib.ExitStack):
    """PostgreSQL and Redis, gone when closed."""

    @cached_property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL, in which each side has a database of its own."""
        return self.enter_context(PostgresServer(None, **POSTGRES_SETTINGS))

    @cached_property
    def redis(self) -> RedisServer:
        """The Redis, which belongs to one side at a time."""
        return self.enter_context(RedisServer())
