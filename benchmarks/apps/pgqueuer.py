"""pgqueuer by asyncpg; a body that reckons runs in a thread, since in the event loop it would hold up all others."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import asyncpg
import psycopg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, SyncPsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries, SyncQueries

from benchmarks import bodies
from benchmarks.calling import OutsideCaller, Sending

URL = os.environ["DATABASE_URL"]
BULK = 10_000


async def add(job: Job) -> None:
    bodies.add(*arguments(job))


async def millisecond(job: Job) -> None:
    await asyncio.to_thread(bodies.millisecond, *arguments(job))


async def compute(job: Job) -> None:
    await asyncio.to_thread(bodies.compute, *arguments(job))


async def wait(job: Job) -> None:
    arguments(job)
    await asyncio.sleep(bodies.WAIT)


async def begin(job: Job) -> None:
    bodies.begin(*arguments(job))


def arguments(job: Job) -> list[Any]:
    """Read what the caller has packed: a message holds bytes."""
    return list(json.loads(job.payload or b"[]"))


def packed(*args: Any) -> bytes:
    """Pack arguments."""
    return json.dumps(args).encode()


@asynccontextmanager
async def manager() -> AsyncIterator[PgQueuer]:
    """Make a worker."""
    connection = await asyncpg.connect(URL)
    worker = PgQueuer(AsyncpgDriver(connection))
    for task in (add, millisecond, compute, wait, begin):
        worker.entrypoint(task.__name__)(task)
    try:
        yield worker
    finally:
        await connection.close()


class Calling(OutsideCaller):
    """Calls from an event loop as a project on asyncio would, and from a request of Django's by psycopg."""

    def __init__(self) -> None:
        self._run = asyncio.Runner(loop_factory=uvloop.new_event_loop).run
        self._queries = Queries(AsyncpgDriver(self._run(asyncpg.connect(URL))))

    def send(self, task: str, *args: Any) -> None:
        self._run(self._queries.enqueue(task, packed(*args)))

    def one_by_one(self, task: str, count: int) -> None:
        async def send_all() -> None:
            for number in range(count):
                await self._queries.enqueue(task, packed(number, number))

        self._run(send_all())

    @property
    def ways(self) -> dict[str, Sending]:
        return {"enqueue with lists": self._enqueue_lists}

    def _enqueue_lists(self, task: str, count: int) -> None:
        for start in range(0, count, BULK):
            payloads: list[bytes | None] = [packed(number, number) for number in range(start, min(start + BULK, count))]
            self._run(self._queries.enqueue([task] * len(payloads), payloads, [0] * len(payloads)))

    def send_with_request(self, task: str, *args: Any) -> None:
        from django.db import transaction

        transaction.on_commit(lambda: self._sync_queries.enqueue(task, packed(*args)))

    @cached_property
    def _sync_queries(self) -> SyncQueries:
        return SyncQueries(SyncPsycopgDriver(psycopg.connect(URL, autocommit=True)))
