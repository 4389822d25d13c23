"""Who waits for whom: acts in another thread, and tables that are locked until somebody was refused for that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connection
from django.db.utils import DatabaseErrorWrapper

from djtasks.broker.vendors import Vendor, private_vendor
from tests.broker.sentences import open_transaction
from tests.helpers import wait_until


class Late:
    """Something that another thread does once it is started."""

    def __init__(self, threads: ThreadPoolExecutor, act: Callable[[], object]) -> None:
        self.threads = threads
        self.act = act
        self.future: Future[object] | None = None

    def start(self) -> None:
        self.future = self.threads.submit(self.act)

    def result(self) -> object:
        assert self.future is not None
        return self.future.result(timeout=20)


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[Late]:
    with ThreadPoolExecutor(1) as threads:
        yield Late(threads, act)


def until_someone_waits_for_a_lock() -> None:
    """Wait until a session waits; SQLite does not tell, but then the order makes no difference either.

    Other tests wait, too, in databases of their own on the same server.
    """
    waiting = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()",
        "mysql": "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist"
        " ON processlist.id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = database()",
    }.get(connection.vendor)
    if not waiting:
        return

    def waits() -> bool:
        if connection.vendor == "mysql":
            # It shows the same again to whoever asks more often than every tenth of a second.
            time.sleep(0.15)
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            return bool(int(cursor.fetchone()[-1]))

    wait_until(waits)


# How long one statement may wait for a lock; MySQL counts in whole seconds, those for rows and those for tables.
WAIT_SHORTLY = {
    "postgresql": ["SET lock_timeout = '20ms'"],
    "sqlite": ["PRAGMA busy_timeout = 20"],
    "mysql": ["SET innodb_lock_wait_timeout = 1", "SET lock_wait_timeout = 1"],
}
TABLES = ("message", "result", "dependency", "queue", "command", "schedule", "slot")


def wait_shortly(vendor: Vendor) -> None:
    with vendor.connection.cursor() as cursor:
        for statement in WAIT_SHORTLY[connection.vendor]:
            cursor.execute(statement)


@contextmanager
def locked_until_refused(vendor: Vendor, *tables: str) -> Iterator[list[BaseException]]:
    """Let another keep tables from being written until that was refused to this vendor; collect the refusals."""
    vendor.now()
    wait_shortly(vendor)
    refused: list[BaseException] = []
    with ExitStack() as locks:
        locks.enter_context(_locked(tables or TABLES))

        def release(error: BaseException) -> None:
            refused.append(error)
            locks.close()

        # All that vendors say to a database goes through this, by Django's cursors or past them.
        vendor.connection.wrap_database_errors = _Noticing(vendor.connection, release)
        try:
            yield refused
        finally:
            del vendor.connection.wrap_database_errors
            # Another connection has the usual patience.
            if not vendor.joins:
                vendor.connection.close()


class _Noticing(DatabaseErrorWrapper):
    def __init__(self, wrapper: Any, notice: Callable[[BaseException], None]) -> None:
        super().__init__(wrapper)
        self.notice = notice

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            self.notice(error)
        super().__exit__(kind, error, traceback)


@contextmanager
def _locked(tables: tuple[str, ...]) -> Iterator[None]:
    holder = private_vendor()
    names = [f"djtasks_{table}" for table in tables]
    try:
        with holder.connection.cursor() as cursor:
            if connection.vendor == "mysql":
                cursor.execute(f"LOCK TABLES {', '.join(f'{name} READ' for name in names)}")
                yield
                cursor.execute("UNLOCK TABLES")
                return
            with open_transaction(holder):
                if connection.vendor == "postgresql":
                    cursor.execute(f"LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE")
                yield
    finally:
        holder.connection.close()
