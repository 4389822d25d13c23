"""How long the pages of the admin take with a million living and five million ended tasks, and how they are read.

The tables are filled by PostgreSQL itself: a backlog in one queue, some small queues, tasks that run, a body that waits
for a hundred thousand tasks, and ended tasks of which some have failed. Each page is asked for in this process, as
Django's test client does; the median is shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.servers import PostgresServer, ServerError

LIVE, ENDED, MEMBERS = 1_000_000, 5_000_000, 100_000
# For a first look.
QUICK = 50
BODY = "01900000-0000-7000-8000-000000000000"
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
# A body that waits for the first of them.
EDGES = """
    INSERT INTO djtasks_dependency (message, upstream, "on")
    SELECT %(body)s, id, 'success' FROM djtasks_message ORDER BY id LIMIT %(members)s
"""
# Ids as they are made: the time in milliseconds, and chance.
ID = """(lpad(to_hex((extract(epoch FROM {sent}) * 1000)::bigint), 12, '0') || '7'
    || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid"""
SENT = "(now() - interval '20 hours' * (%({count})s - n) / %({count})s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the tables, ask for each page, and show how long it took."""
    options = parse(arguments)
    try:
        with PostgresServer(shared_buffers="512MB", max_wal_size="8GB") as server:
            os.environ |= {"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
            import django

            django.setup()
            measure(options)
    except ServerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks admin", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each page is asked for (default 5)")
    parser.add_argument("--quick", action="store_true", help=f"only one in {QUICK} of the tasks, for a first look")
    parser.add_argument("--only", default="", metavar="WORD", help="only the pages that have this word in their name")
    parser.add_argument("--plans", action="store_true", help="show how PostgreSQL reads what the pages ask for")
    options = parser.parse_args(arguments)
    for name, count in (("live", LIVE), ("ended", ENDED), ("members", MEMBERS)):
        setattr(options, name, count // QUICK if options.quick else count)
    return options


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
    for name, path in (page for page in pages(options) if options.only in page[0]):
        seconds, found = timed(lambda path=path: client.get(path), options.rounds)
        print(f"{name:<44}{1000 * seconds:>8.0f} ms   {len(found.content) // 1024} KiB   {path}", flush=True)
        if options.plans:
            show_plans(client, path)


def fill(options: argparse.Namespace) -> None:
    """Make the rows, as if they had been sent and had ended within the last twenty hours."""
    from django.db import connection

    from djtasks.models import Message

    with connection.cursor() as cursor:
        for statement, count in ((MESSAGES, "live"), (RESULTS, "ended")):
            began_at = time.monotonic()
            sent = SENT.format(count=count)
            cursor.execute(statement.format(sent=sent, id=ID.format(sent=sent)), vars(options))
            print(f"{count}: filled in {time.monotonic() - began_at:.0f} s", file=sys.stderr)
        Message.objects.create(pk=BODY, task="shop.tasks.body", due_at=None, inputs="list")
        cursor.execute(EDGES, {"body": BODY, "members": options.members})
        for table in ("djtasks_message", "djtasks_result", "djtasks_dependency"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def pages(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Name the pages that people open."""
    from django.urls import reverse

    from djtasks.models import Message, Result

    tasks = reverse("admin:djtasks_task_changelist")
    middle = Result.objects.order_by("pk").values_list("pk", flat=True)[options.ended // 50]
    some = Message.objects.order_by("-pk").values_list("pk", flat=True)[0]
    member = Message.objects.order_by("pk").values_list("pk", flat=True)[1]
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
    yield "the body of a large workflow", reverse("admin:djtasks_task_change", args=[BODY])
    yield "a member of a large workflow", reverse("admin:djtasks_task_change", args=[member])


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
    sys.exit(main())
