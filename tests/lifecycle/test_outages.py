"""The database goes away, or cuts connections, while workers work: C1, C2, C12, C19."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from tests.helpers import Diary, all_settled, messages, running_worker, settled, wait_until, why
from tests.servers import PostgresServer
from tests.tasks import hold, hold_late, note, note_late

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@contextmanager
def queue_on(server: PostgresServer) -> Iterator[None]:
    """Let this process use the server's database instead of the suite's own."""
    own = connections["default"].settings_dict
    before = dict(own)
    connections["default"].close()
    address = psycopg.conninfo.conninfo_to_dict(server.url)
    own.update(NAME=address["dbname"], HOST=address["host"], PORT=address.get("port", ""), USER=address["user"])
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connections["default"].close()
        own.clear()
        own.update(before)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_worker_survives_restarts_of_the_server(own_postgres: PostgresServer, diary: Diary, mode: str) -> None:
    """C1: what runs goes on, its outcome is written when the server is back, and nothing begun early runs twice."""
    with queue_on(own_postgres), running_worker(url=own_postgres.url, LEASE_SECONDS=30) as worker:
        early, late = hold.delay(diary.path, "early", diary.gate), hold_late.delay(diary.path, "late", diary.gate)
        diary.until("early"), diary.until("late")
        connection.close()
        own_postgres.stop(mode)
        diary.open_gate()
        diary.until("early ended"), diary.until("late ended")
        own_postgres.start()
        assert [result.state for result in all_settled([early, late])] == ["SUCCESS", "SUCCESS"]
        for round_number in range(3):
            handles = [note.delay(diary.path, f"round {round_number}") for _ in range(5)]
            connection.close()
            own_postgres.restart(mode)
            handles += [note_late.delay(diary.path, f"round {round_number}") for _ in range(5)]
            results = all_settled(handles)
            # The answer to a beginning can be lost with the server, but then the worker adopts what it began.
            assert {result.state for result in results} == {"SUCCESS"}
            assert diary.counts()[f"round {round_number}"] == 10
        assert worker.stop() == 0
    assert diary.counts()["early"] == diary.counts()["late"] == 1


def test_worker_bears_the_loss_of_any_connection(diary: Diary) -> None:
    """C2: connections are cut all the time; nothing is lost, and nothing begun early runs twice."""
    handles = []
    ended = threading.Event()

    def cut() -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
            while not ended.wait(0.1):
                own.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'caller' "
                    "AND backend_type = 'client backend' AND pid <> ALL (%s) ORDER BY random() LIMIT 1",
                    [[spared]],
                )

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (spared,) = cursor.fetchone()
    with running_worker(LEASE_SECONDS=5) as worker:
        handles = [task.delay(diary.path, task.name) for _ in range(100) for task in (note, note_late)]
        cutter = threading.Thread(target=cut)
        cutter.start()
        handles += [task.delay(diary.path, task.name) for _ in range(100) for task in (note, note_late)]
        results = all_settled(handles)
        ended.set()
        cutter.join()
        after = all_settled([note.delay(diary.path, "after")])
        assert worker.stop() == 0
    assert {result.state for result in [*results, *after]} == {"SUCCESS"}
    assert diary.counts()[note.name] == 200
    assert diary.counts()[note_late.name] >= 200


def test_worker_lives_with_a_role_that_allows_little_time(diary: Diary) -> None:
    """C12: the timeouts of the role are shorter than the bodies, and no statement of the worker's own is as long."""
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER DATABASE {database} SET statement_timeout = '200ms';"
            f"ALTER DATABASE {database} SET lock_timeout = '100ms';"
            f"ALTER DATABASE {database} SET idle_in_transaction_session_timeout = '1s'"
        )
    try:
        with running_worker() as worker:
            handles = [note.delay(diary.path, "early") for _ in range(20)]
            handles += [note_late.delay(diary.path, "late") for _ in range(20)]
            # A locked row makes the worker's own statement run into the timeout: it tries again.
            held = hold_late.delay(diary.path, "hold", diary.gate)
            diary.until("hold")
            with psycopg.connect(os.environ["DATABASE_URL"]) as locker:
                locker.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
                locker.execute("SELECT 1 FROM djtasks_message WHERE id = %s FOR UPDATE", [held.id])
                diary.open_gate()
                diary.until("hold ended")
                all_settled(handles)
            assert settled(held).state == "SUCCESS"
            assert worker.stop() == 0
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(f"ALTER DATABASE {database} RESET ALL")


def test_no_transaction_is_open_while_bodies_run(diary: Diary) -> None:
    """C19."""
    handles = [hold.delay(diary.path, "early", diary.gate), hold_late.delay(diary.path, "late", diary.gate)]
    with running_worker():
        diary.until("early"), diary.until("late")
        wait_until(lambda: messages().filter(started_at__isnull=False).count() == 2)
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
            for _ in range(100):
                open_ones = own.execute(
                    "SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%' "
                    "AND datname = current_database()"
                ).fetchall()
                assert open_ones == []
        diary.open_gate()
        all_settled(handles)


def test_worker_waits_for_a_server_that_is_not_there_yet(own_postgres: PostgresServer, diary: Diary) -> None:
    """C1: it does not matter which of the two is started first."""
    with queue_on(own_postgres):
        handle = note.delay(diary.path, "word")
    own_postgres.stop()
    with running_worker(url=own_postgres.url) as worker:
        worker.logs("the database is not there")
        own_postgres.start()
        with queue_on(own_postgres):
            assert settled(handle).state == "SUCCESS"


def test_early_message_whose_worker_was_cut_off_for_long_runs_once(own_postgres: PostgresServer, diary: Diary) -> None:
    """C1, B1: an outage longer than the lease; its holder is still there, and settles it itself."""
    with queue_on(own_postgres), running_worker(url=own_postgres.url, LEASE_SECONDS=2) as worker:
        early = hold.delay(diary.path, "early", diary.gate)
        diary.until("early")
        with running_worker(url=own_postgres.url, LEASE_SECONDS=2) as other:
            other.logs("registered")
            lapses_at = messages().get(pk=early.id).leased_until
            connection.close()
            own_postgres.stop("immediate")
            wait_until(lambda: timezone.now() > lapses_at)
            worker.logs("the database is not there"), other.logs("the database is not there")
            own_postgres.start()
            diary.open_gate()
            result = settled(early)
    assert (result.state, why(result) if result.error else "") == ("SUCCESS", "")
    assert diary.counts()["early"] == 1
