"""Servers that do not answer, do not write, or take nobody in: C4, C5, C13, H5, H6."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg
import pytest
from django.db import connection

from tests.helpers import Diary, all_settled, messages, results, running_worker, settled, wait_until
from tests.lifecycle.proxy import FaultProxy
from tests.lifecycle.test_outages import queue_on
from tests.servers import PostgresServer
from tests.tasks import hold, hold_late, note, note_late

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def test_worker_notices_that_nobody_answers_and_comes_back(diary: Diary) -> None:
    """C4: within half a lease, fifteen seconds at most; others have what it held, and its own late word is refused."""
    with (
        FaultProxy(os.environ["DATABASE_URL"]) as proxy,
        # A slot more than bodies: only who wants something asks.
        running_worker(url=proxy.url, concurrency=3, LEASE_SECONDS=4) as worker,
    ):
        late, early = hold_late.delay(diary.path, "late", diary.gate), hold.delay(diary.path, "early", diary.gate)
        diary.until("late"), diary.until("early")
        proxy.stalled, stalled_at = True, time.monotonic()
        worker.logs("the database has not answered for 2 s")
        worker.logs("the database is not there")
        assert time.monotonic() - stalled_at < 10
        with running_worker(LEASE_SECONDS=4) as other:
            diary.until("late", times=2)
            proxy.stalled = False
            worker.logs("the database is back")
            diary.open_gate()
            assert settled(late).losses == 1
            assert settled(early).state in ("SUCCESS", "FAILURE")
            other.stop()
        assert all_settled([note.delay(diary.path, "after")])[0].state == "SUCCESS"
        assert worker.stop() == 0
    assert diary.counts()["early"] == 1


def test_server_that_became_read_only_is_waited_for(own_postgres: PostgresServer, diary: Diary) -> None:
    """C5: nothing is marked as failed, nothing runs twice, and the worker goes on when it can write again."""
    with queue_on(own_postgres), running_worker(url=own_postgres.url, LEASE_SECONDS=30) as worker:
        handles = [hold.delay(diary.path, "early", diary.gate), hold_late.delay(diary.path, "late", diary.gate)]
        diary.until("early"), diary.until("late")
        read_only(own_postgres, True)
        diary.open_gate()
        diary.until("early ended"), diary.until("late ended")
        worker.logs("read-only transaction")
        assert not results().exists() and messages().count() == 2
        read_only(own_postgres, False)
        assert {result.state for result in all_settled(handles)} == {"SUCCESS"}
        connection.close()
        assert all_settled([note.delay(diary.path, "after")])[0].state == "SUCCESS"
        assert worker.stop() == 0
    assert diary.counts()["early"] == diary.counts()["late"] == 1


def read_only(server: PostgresServer, on: bool) -> None:
    with psycopg.connect(server.url, autocommit=True, options="-c default_transaction_read_only=off") as own:
        own.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        own.execute("SELECT pg_reload_conf()")


@pytest.fixture
def narrow_postgres(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A server that takes in few."""
    few = {"max_connections": "10", "superuser_reserved_connections": "0"}
    with PostgresServer(pytestconfig.getoption("postgres_version"), **few) as server:
        yield server


def test_worker_waits_for_a_connection(narrow_postgres: PostgresServer, diary: Diary) -> None:
    """C13: it keeps what it holds, and its outcomes, until there is room for it."""
    with queue_on(narrow_postgres), running_worker(url=narrow_postgres.url, LEASE_SECONDS=30) as worker:
        early = hold.delay(diary.path, "early", diary.gate)
        diary.until("early")
        connection.close()
        with occupied(narrow_postgres):
            worker.logs("too many clients")
            diary.open_gate()
            diary.until("early ended")
        assert settled(early).state == "SUCCESS"
        assert settled(note_late.delay(diary.path, "after")).state == "SUCCESS"
        assert worker.stop() == 0
    assert diary.counts()["early"] == 1


@contextmanager
def occupied(server: PostgresServer) -> Iterator[None]:
    """Take the connections of everyone else, and keep them."""
    taken = [psycopg.connect(server.url, autocommit=True)]
    for _ in range(50):
        taken[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> ALL (%s)",
            [[each.info.backend_pid for each in taken]],
        )
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(server.url, autocommit=True))
        if len(taken) == 10:
            break
    assert len(taken) == 10
    try:
        yield
    finally:
        for each in taken:
            each.close()


def test_absent_server_is_asked_for_seldom_and_served_at_once(own_postgres: PostgresServer, diary: Diary) -> None:
    """H6: about once a second, at no cost, with a line in five seconds, and the full rate when it is back."""
    with queue_on(own_postgres), running_worker(url=own_postgres.url, LEASE_SECONDS=30) as worker:
        settled(note.delay(diary.path, "before"))
        connection.close()
        own_postgres.stop("immediate")
        worker.logs("the database is not there")
        with knocks(own_postgres) as counted:
            # The pauses have grown when it has knocked some times.
            wait_until(lambda: len(counted) >= 9)
            first, lines, spent, began_at = len(counted), worker.log.count("\n"), cpu(worker.pid), time.monotonic()
            time.sleep(6)
            passed = time.monotonic() - began_at
            assert len(counted) - first <= passed + 1
            assert worker.log.count("\n") - lines <= passed / 5 + 1
            assert cpu(worker.pid) - spent <= 0.05 * passed
        own_postgres.start()
        began_at = time.monotonic()
        all_settled([note.delay(diary.path, "after") for _ in range(50)])
        assert time.monotonic() - began_at < 10
        assert worker.stop() == 0


@contextmanager
def knocks(server: PostgresServer) -> Iterator[list[float]]:
    """Stand where the server was, and count who asks for it."""
    path, counted = f"{server.directory}/.s.PGSQL.5432", list[float]()
    with suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()

        def answer() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = door.accept()
                    counted.append(time.monotonic())
                    caller.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield counted
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join(5)
    os.unlink(path)


def cpu(pid: int) -> float:
    """Return the seconds of processor time that a process has taken."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def test_idle_worker_costs_two_statements_a_second_and_no_transaction_number(own_postgres: PostgresServer) -> None:
    """H5, F27: with the poll interval that is the default, once there is nothing new to be written of the worker."""
    with queue_on(own_postgres), psycopg.connect(own_postgres.url, autocommit=True) as own:
        own.execute("ALTER SYSTEM SET log_statement = 'all'")
        with running_worker("--pool=threads", url=own_postgres.url, POLL_SECONDS=1) as worker:
            wait_until(lambda: own.execute("SELECT count(*) FROM djtasks_worker").fetchone() == (1,))
            own.execute("SELECT pg_reload_conf()")
            wait_until(lambda: LOOK_INSTEAD_OF_WRITING in own_postgres.log.read_text())
            before, number, spent, began_at = statements(own_postgres), next_number(own), cpu(worker.pid), time.time()
            time.sleep(5)
            passed = time.time() - began_at
            # One is our own question.
            assert statements(own_postgres) - before <= 2 * passed + 1
            assert next_number(own) == number
            assert cpu(worker.pid) - spent <= 0.05 * passed


LOOK_INSTEAD_OF_WRITING = 'SELECT 1 AS "a" FROM "djtasks_worker"'


def statements(server: PostgresServer) -> int:
    return len(re.findall(r"LOG:  (?:statement|execute) ", server.log.read_text()))


def next_number(own: psycopg.Connection) -> object:
    return own.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())").fetchone()
