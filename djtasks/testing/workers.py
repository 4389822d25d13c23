"""A real worker in a thread of the test's process, for tests whose data is committed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connections

from djtasks.conf import settings
from djtasks.worker.isolation import disconnect
from djtasks.worker.plan import Plan
from djtasks.worker.supervisor import Supervisor

HOSTNAME = "djtasks@test"


@contextmanager
def running_worker(*queues: str, grace: float = 10.0) -> Iterator[Supervisor]:
    """Run a worker that serves these queues, or all; it has ended, and closed its connections, when this is over.

    Raises RuntimeError where it could not see what the test does.
    """
    _check_that_it_sees()
    plan = Plan(hostname=HOSTNAME, pool="solo", slots=1, queues=queues or None, grace=grace)
    supervisor = Supervisor(plan)
    with ThreadPoolExecutor(1, "djtasks-worker") as thread:
        ended = thread.submit(_run, supervisor)
        try:
            yield supervisor
        finally:
            supervisor.request_stop()
        ended.result()


def _run(supervisor: Supervisor) -> None:
    try:
        supervisor.run()
    finally:
        disconnect()


def _check_that_it_sees() -> None:
    connection = connections[settings.DATABASE]
    if connection.in_atomic_block:
        raise RuntimeError(
            "a worker sees what is committed, and here a transaction is open: use TransactionTestCase or "
            "django_db(transaction=True), or drain() without a worker"
        )
    if connection.vendor == "sqlite" and connection.is_in_memory_db():  # type: ignore[attr-defined]
        raise RuntimeError(
            "a worker has connections of its own, which a database in memory stalls: give DATABASES a file, as "
            '"TEST": {"NAME": BASE_DIR / "test.sqlite3"}, or use drain() without a worker'
        )
