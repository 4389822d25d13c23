"""The tasks of those sides that are backends of Django's own tasks."""

from __future__ import annotations

from typing import Any

import django

from benchmarks import bodies
from benchmarks.calling import Caller

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task


@task
def add(x: int, y: int) -> int:
    return bodies.add(x, y)


@task
def millisecond(x: int, y: int) -> int:
    return bodies.millisecond(x, y)


@task
def compute(x: int, y: int) -> int:
    return bodies.compute(x, y)


@task
def wait(x: int, y: int) -> int:
    return bodies.wait(x, y)


@task
def begin(address: str) -> None:
    bodies.begin(address)


TASKS = {each.func.__name__: each for each in (add, millisecond, compute, wait, begin)}


class TasksCaller(Caller):
    """Calls as Django tells."""

    interval = 1.0

    def send(self, task: str, *args: Any) -> Any:
        return TASKS[task].enqueue(*args)
