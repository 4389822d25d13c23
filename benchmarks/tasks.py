"""The tasks of djtasks' side: each body in each mode, and those of workflows."""

from __future__ import annotations

from benchmarks.bodies import BODIES
from djtasks import shared_task

MODES = {"": {}, "_late": {"acks_late": True}, "_unkept": {"acks_late": True, "ignore_result": True}}
TASKS = {
    name + mode: shared_task(name=f"benchmarks.tasks.{name}{mode}", **options)(body)
    for name, body in BODIES.items()
    for mode, options in MODES.items()
}


@shared_task
def nothing() -> None:
    """Be one of the header of a chord."""


@shared_task
def count(values: list[object]) -> int:
    return len(values)


@shared_task
def increase(number: int) -> int:
    return number + 1
