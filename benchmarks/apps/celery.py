"""Celery with Redis for messages and results, set up for speed as its documents tell."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import celery
from celery import Celery, group
from celery.beat import Scheduler
from celery.schedules import crontab

from benchmarks import bodies
from benchmarks.calling import PATIENCE, OutsideCaller, Sending
from benchmarks.shapes import SHAPES

app = Celery("benchmarks.apps.celery", broker=os.environ["BROKER"], backend=os.environ["RESULTS"])
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=64,
    worker_disable_rate_limits=True,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)

MODES: dict[str, dict[str, Any]] = {
    "": {},
    "_late": {"acks_late": True},
    "_unkept": {"acks_late": True, "ignore_result": True},
}
TASKS = {
    name + mode: app.task(name=f"benchmarks.apps.celery.{name}{mode}", **options)(body)
    for name, body in bodies.BODIES.items()
    for mode, options in MODES.items()
}
nothing, count, increase = map(app.task, (bodies.nothing, bodies.count, bodies.increase))


class Calling(OutsideCaller):
    """Calls as a project would."""

    def send(self, task: str, *args: Any) -> Any:
        return TASKS[task].delay(*args)

    @property
    def ways(self) -> dict[str, Sending]:
        return {"apply_async with one producer": self._with_one_producer, "group": self._group}

    def _with_one_producer(self, task: str, count: int) -> None:
        with app.producer_or_acquire() as producer:
            for number in range(count):
                TASKS[task].apply_async((number, number), producer=producer)

    def _group(self, task: str, count: int) -> None:
        group(TASKS[task].s(number, number) for number in range(count)).apply_async()

    def fetch(self, handle: Any) -> Any:
        return handle.get(timeout=PATIENCE)

    def compose(self, shape: str, size: int) -> Any:
        return SHAPES[shape](celery, sys.modules[__name__], size)

    def beat(self, count: int) -> float:
        scheduler = InMemory(count)
        began_at = time.perf_counter()
        # It sends one at each tick, and says zero as long as another is due.
        while scheduler.tick() == 0:
            pass
        seconds = time.perf_counter() - began_at
        sent = sum(entry.total_run_count for entry in scheduler.schedule.values())
        if sent < count:
            raise RuntimeError(f"{sent} messages of {count} were sent")
        return seconds


class InMemory(Scheduler):  # type: ignore[misc]
    """The scheduler that all others build on; it keeps nothing."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(app, lazy=False)

    def setup_schedule(self) -> None:
        self.install_default_entries({})
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        for number in range(self.count):
            facts = {"task": TASKS["add"].name, "args": (1, 2), "last_run_at": long_ago}
            plan = crontab(number % 60, number // 60 % 24, "*", 1, 1, app=app)
            self.add(name=f"schedule {number}", schedule=plan, **facts)
