"""The calling program of either side: ``python -m benchmarks.producer SIDE HOW COUNT NAME`` prints what it measured.

NAME is that of a task, or of a workflow's shape.

It is a process of its own for each measurement, so that neither side's libraries, subscriptions and garbage are there
while the other is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.shapes import SHAPES

WARM_UP = 50
BULK = 10_000
WORKFLOWS = 5
GAP = 0.02
PATIENCE = 60


def one_by_one(task: Any, count: int) -> float:
    """Call ``delay`` again and again; return the seconds."""
    return timed(lambda: [task.delay(number, number) for number in range(count)])


def in_bulk(side: str) -> dict[str, Callable[[Any, int], float]]:
    """The side's own ways to send many, by name."""
    if side == "djtasks":
        return {"enqueue_many": enqueue_many}
    return {"group": group, "apply_async with one producer": apply_async_with_one_producer}


def enqueue_many(task: Any, count: int) -> float:
    from djtasks import enqueue_many

    def send() -> None:
        for start in range(0, count, BULK):
            enqueue_many((task, (number, number)) for number in range(start, min(start + BULK, count)))

    return timed(send)


def group(task: Any, count: int) -> float:
    from celery import group

    return timed(lambda: group(task.s(number, number) for number in range(count)).apply_async())


def apply_async_with_one_producer(task: Any, count: int) -> float:
    def send() -> None:
        with task.app.producer_or_acquire() as producer:
            for number in range(count):
                task.apply_async((number, number), producer=producer)

    return timed(send)


def latencies(task: Any, count: int) -> list[float]:
    """Return the seconds from each call to the start of its body, with a gap after each, so that the worker idles."""
    calls = []
    for _ in range(WARM_UP + count):
        called_at = time.monotonic()
        calls.append((called_at, task.delay()))
        time.sleep(GAP)
    return [handle.get(timeout=PATIENCE) - called_at for called_at, handle in calls][WARM_UP:]


def round_trips(task: Any, count: int) -> list[float]:
    """Return the seconds from each call until its result is in the caller's hands."""
    return [timed(lambda: task.delay().get(timeout=PATIENCE)) for _ in range(WARM_UP + count)][WARM_UP:]


def workflows(shape: Callable[..., Any], side: str, size: int) -> list[float]:
    """Return the seconds from each call of a workflow until its last result is in the caller's hands."""
    canvas, tasks = import_module(side), tasks_of(side)

    def run(size: int) -> float:
        workflow = shape(canvas, tasks, size)
        values = []
        seconds = timed(lambda: values.append(workflow.apply_async().get(timeout=PATIENCE)))
        if values != [size]:
            raise RuntimeError(f"{shape.__name__} of {size} has the result {values}")
        return seconds

    run(WARM_UP)
    return [run(size) for _ in range(WORKFLOWS)]


def beat(side: str, count: int) -> float:
    """Let so many schedules come due at the same moment; return the seconds until one beat has sent them all."""
    return {"djtasks": beat_of_djtasks, "celery": beat_of_celery}[side](count)


def beat_of_djtasks(count: int) -> float:
    from datetime import timedelta

    from django.db.models.functions import Now

    from djtasks.beat.tick import tick
    from djtasks.broker.vendors import private_vendor
    from djtasks.models import Schedule

    facts = {"task": "benchmarks.tasks.add", "args": [1, 2], "kind": "crontab", "timezone": "UTC"}
    rows = [
        Schedule(name=f"schedule {number}", expression=f"{number % 60} {number // 60 % 24} 1 1 *", **facts)
        for number in range(count)
    ]
    for row in rows:
        row.planned = row.plan
    Schedule.objects.all().delete()
    Schedule.objects.bulk_create(rows)
    Schedule.objects.update(next_run_at=Now() - timedelta(seconds=1))
    vendor, sent = private_vendor(), []
    seconds = timed(lambda: sent.append(tick(vendor)))
    if sent != [count]:
        raise RuntimeError(f"{sent} messages of {count} were sent")
    return seconds


def beat_of_celery(count: int) -> float:
    from datetime import UTC, datetime

    from celery.beat import Scheduler
    from celery.schedules import crontab

    from benchmarks.celery_app import add, app

    class InMemory(Scheduler):
        """The scheduler that all others build on; it keeps nothing."""

        def setup_schedule(self) -> None:
            self.install_default_entries({})
            long_ago = datetime(2020, 1, 1, tzinfo=UTC)
            for number in range(count):
                facts = {"name": f"schedule {number}", "task": add.name, "args": (1, 2), "last_run_at": long_ago}
                self.add(schedule=crontab(number % 60, number // 60 % 24, "*", 1, 1, app=app), **facts)

    scheduler = InMemory(app, lazy=False)

    def send() -> None:
        # It sends one at each tick, and says zero as long as another is due.
        while scheduler.tick() == 0:
            pass

    seconds = timed(send)
    sent = sum(entry.total_run_count for entry in scheduler.schedule.values())
    if sent < count:
        raise RuntimeError(f"{sent} messages of {count} were sent")
    return seconds


def timed(function: Callable[[], object]) -> float:
    """Call the function; return the seconds that it took."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def tasks_of(side: str) -> Any:
    """Import the module that holds the side's tasks."""
    if side == "djtasks":
        import django

        django.setup()
        from benchmarks import tasks

        return tasks
    from benchmarks import celery_app

    return celery_app


def main(side: str, how: str, count: int, name: str) -> object:
    """Measure one thing."""
    tasks = tasks_of(side)
    match how:
        case "run":
            return workflows(SHAPES[name], side, count)
        case "send":
            return SHAPES[name](import_module(side), tasks, count).apply_async().id
        case "beat":
            return beat(side, count)
    task = getattr(tasks, name)
    match how:
        case "fill":
            return (enqueue_many if side == "djtasks" else apply_async_with_one_producer)(task, count)
        case "one by one":
            one_by_one(task, WARM_UP)
            return one_by_one(task, count)
        case "in bulk":
            one_by_one(task, WARM_UP)
            return {way: send(task, count) for way, send in in_bulk(side).items()}
        case "latency":
            return latencies(task, count)
        case "round trip":
            return round_trips(task, count)
    raise ValueError(how)


if __name__ == "__main__":
    side, how, count, name = sys.argv[1:]
    json.dump(main(side, how, int(count), name), sys.stdout)
    sys.stdout.flush()
    # Without the end of the interpreter, at which each handle of Celery's would complain that it comes too late.
    os._exit(0)
