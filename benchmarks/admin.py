"""How long the pages of the admin take with a million living and five million ended tasks, and how they are read.

    python -m benchmarks.admin [--live 1000000] [--ended 5000000] [--rounds 5] [--plans]

The tables are filled by PostgreSQL itself: a backlog in one queue, some small queues, tasks that run, and ended tasks
of which some have failed. Each page is asked for in this process, as Django's test client does; the median is shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.servers import PostgresServer

MESSAGES = """
    INSERT INTO djtasks_message (id, task, args, kwargs, queue, priority, due_at, enqueued_at, leased_until, started_at)
    SELECT {id}, 'shop.tasks.task_' || n %% 50, '[' || n || ', "some text"]', '{{"user_id":' || n %% 10000 || '}}',
        CASE WHEN n %% 10 < 8 THEN 'default' ELSE 'queue_' || n %% 20 END, n %% 3, {sent}, {sent},
        CASE WHEN n %% 50000 = 0 THEN now() + interval '1 day' END, CASE WHEN n %% 50000 = 0 THEN now() END
    FROM generate_series(1, %(live)s) AS n
"""
RESULTS = """
    INSERT INTO djtasks_result (id, task, args, kwargs, queue, priority, due_at, enqueued_at, started_at, finished_at,
        expires_at, state, value, errors, hostname)
    SELECT {id}, 'shop.tasks.task_' || n %% 50, '[' || n || ', "some text"]', '{{"user_id":' || n %% 10000 || '}}',
        CASE WHEN n %% 10 < 8 THEN 'default' ELSE 'queue_' || n %% 20 END, n %% 3, {sent}, {sent}, {sent}, {sent},
        {sent} + interval '1 day', CASE WHEN n %% 1000 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END, '"done"',
        CASE WHEN n %% 1000 = 0 THEN '{{"kind":"failure","type":"ValueError","message":"no"}}' || chr(10) ELSE '' END,
        'worker@host'
    FROM generate_series(1, %(ended)s) AS n
"""
# Ids as they are made: the time in milliseconds, and chance.
ID = """(lpad(to_hex((extract(epoch FROM {sent}) * 1000)::bigint), 12, '0') || '7'
    || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid"""
SENT = "(now() - interval '20 hours' * (%({count})s - n) / %({count})s)"


def main() -> None:
    """Fill the tables, and ask for each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=int, default=1_000_000)
    parser.add_argument("--ended", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only the pages whose names contain this")
    parser.add_argument("--plans", action="store_true", help="show how PostgreSQL reads what the pages ask for")
    options = parser.parse_args()
    with PostgresServer(shared_buffers="512MB", max_wal_size="8GB") as server:
        os.environ |= {"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        import django

        django.setup()
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Show what each page takes, and what it asks the database."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", verbosity=0)
    fill(options)
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    print(f"{options.live:,} living, {options.ended:,} ended; median of {options.rounds}\n")
    for name, path in (page for page in pages() if options.only in page[0]):
        seconds, found = timed(lambda path=path: client.get(path), options.rounds)
        print(f"{name:<44}{1000 * seconds:>8.0f} ms   {len(found.content) // 1024} KiB   {path}", flush=True)
        if options.plans:
            show_plans(client, path)


def fill(options: argparse.Namespace) -> None:
    """Make the rows, as if they had been sent and had ended within the last twenty hours."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement, count in ((MESSAGES, "live"), (RESULTS, "ended")):
            began_at = time.monotonic()
            sent = SENT.format(count=count)
            cursor.execute(statement.format(sent=sent, id=ID.format(sent=sent)), vars(options))
            print(f"{count}: filled in {time.monotonic() - began_at:.0f} s", file=sys.stderr)
        for table in ("djtasks_message", "djtasks_result"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def pages() -> Iterator[tuple[str, str]]:
    """Name the pages that people open."""
    from django.urls import reverse

    from djtasks.models import Message, Result

    tasks = reverse("admin:djtasks_task_changelist")
    middle = Result.objects.order_by("pk").values_list("pk", flat=True)[100_000]
    some = Message.objects.values_list("pk", flat=True).first()
    yield "overview", reverse("admin:djtasks_overview")
    yield "tasks", tasks
    yield "tasks, far back", f"{tasks}?before={middle}"
    yield "tasks that failed", f"{tasks}?state=FAILURE"
    yield "tasks that run", f"{tasks}?state=running"
    yield "tasks in a small queue", f"{tasks}?queue=queue_9"
    yield "tasks by name", f"{tasks}?task=shop.tasks.task_7"
    yield "tasks of a name that none has", f"{tasks}?task=nothing"
    yield "search for an id", f"{tasks}?q={some}"
    yield "search for how an id begins", f"{tasks}?q={str(some)[:13]}"
    yield "search for a part of a name", f"{tasks}?q=task_41"
    yield "search for an argument", f"{tasks}?q=user_id:4711"
    yield "a living task", reverse("admin:djtasks_task_change", args=[some])
    yield "an ended task", reverse("admin:djtasks_task_change", args=[middle])


def timed(ask: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Return the median time, after one that does not count, and the last answer."""
    ask()
    seconds = []
    for _ in range(rounds):
        began_at = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - began_at)
        assert answer.status_code == 200, answer.status_code
    return statistics.median(seconds), answer


def show_plans(client: Any, path: str) -> None:
    """Show how the large tables are read."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        client.get(path)
    with connection.cursor() as cursor:
        for query in asked:
            if query["sql"].startswith("SELECT") and (
                "djtasks_message" in query["sql"] or "djtasks_result" in query["sql"]
            ):
                cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF, BUFFERS OFF) {query['sql']}")
                print(f"      {query['time']} s")
                print("".join(f"      {line}\n" for (line,) in cursor.fetchall()))


if __name__ == "__main__":
    main()
