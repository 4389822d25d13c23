"""The other side: Celery with Redis for messages and results, set up for speed as its documents tell."""

from __future__ import annotations

import os
import time

from celery import Celery

app = Celery("benchmarks.celery_app", broker=os.environ["CELERY_BROKER"], backend=os.environ["CELERY_RESULTS"])
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


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task(acks_late=True)
def add_late(x: int, y: int) -> int:
    return x + y


@app.task
def begin() -> float:
    return time.monotonic()


@app.task
def nothing() -> None:
    """Be one of the header of a chord."""


@app.task
def count(values: list[object]) -> int:
    return len(values)


@app.task
def increase(number: int) -> int:
    return number + 1
