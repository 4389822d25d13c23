"""The calling program of either side: ``python -m benchmarks.producer SIDE HOW COUNT [TASK]`` prints what it measured.

It is a process of its own for each measurement, so that neither side's libraries, subscriptions and garbage are there
while the other is measured.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

WARM_UP = 50
BULK = 10_000
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
    task = getattr(tasks_of(side), name)
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
