"""Sample tasks for tests that need a worker in a process of its own."""

from __future__ import annotations

import os
import signal
import time

from djtasks import shared_task


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task(acks_late=True)
def add_late(x: int, y: int) -> int:
    return x + y


@shared_task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@shared_task(bind=True, default_retry_delay=0)
def fail_twice(self) -> int:
    if self.request.retries < 2:
        self.retry(exc=ValueError("again"))
    return self.request.retries


@shared_task
def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shared_task(acks_late=True)
def sleep_late(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shared_task(acks_late=True)
def die_late() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
