"""How djtasks is called; its tasks stand in ``benchmarks.tasks``."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import django

from benchmarks.calling import PATIENCE, Caller, Sending
from benchmarks.shapes import SHAPES

django.setup()

from django.db.models.functions import Now  # noqa: E402

import djtasks  # noqa: E402
from benchmarks import tasks  # noqa: E402
from djtasks import enqueue_many  # noqa: E402
from djtasks.beat.tick import tick  # noqa: E402
from djtasks.broker.vendors import private_vendor  # noqa: E402
from djtasks.models import Schedule  # noqa: E402

BULK = 10_000


class Calling(Caller):
    """Calls as a project would."""

    def send(self, task: str, *args: Any) -> Any:
        return tasks.TASKS[task].delay(*args)

    @property
    def ways(self) -> dict[str, Sending]:
        return {"enqueue_many": self._enqueue_many}

    def _enqueue_many(self, task: str, count: int) -> None:
        for start in range(0, count, BULK):
            numbers = range(start, min(start + BULK, count))
            enqueue_many((tasks.TASKS[task], (number, number)) for number in numbers)

    def fetch(self, handle: Any) -> Any:
        return handle.get(timeout=PATIENCE)

    def compose(self, shape: str, size: int) -> Any:
        return SHAPES[shape](djtasks, tasks, size)

    def beat(self, count: int) -> float:
        Schedule.objects.all().delete()
        Schedule.objects.bulk_create(schedules(count))
        Schedule.objects.update(next_run_at=Now() - timedelta(seconds=1))
        vendor, began_at = private_vendor(), time.perf_counter()
        sent, seconds = tick(vendor), time.perf_counter() - began_at
        if sent != count:
            raise RuntimeError(f"{sent} messages of {count} were sent")
        return seconds


def schedules(count: int) -> list[Schedule]:
    """Make so many, no two of which are alike."""
    facts = {"task": "benchmarks.tasks.add", "args": [1, 2], "kind": "crontab", "timezone": "UTC"}
    rows = [
        Schedule(name=f"schedule {number}", expression=f"{number % 60} {number // 60 % 24} 1 1 *", **facts)
        for number in range(count)
    ]
    for row in rows:
        row.planned = row.plan
    return rows
