"""The tasks of djtasks' side; ``celery_app`` has the same."""

from __future__ import annotations

import time

from djtasks import shared_task


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task(acks_late=True)
def add_late(x: int, y: int) -> int:
    return x + y


@shared_task
def begin() -> float:
    return time.monotonic()


@shared_task
def nothing() -> None:
    """Be one of the header of a chord."""


@shared_task
def count(values: list[object]) -> int:
    return len(values)


@shared_task
def increase(number: int) -> int:
    return number + 1
