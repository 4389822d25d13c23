"""The tasks of djtasks' side: each body in each mode, and those of workflows."""

from __future__ import annotations

from benchmarks import bodies
from djtasks import shared_task

MODES = {"": {}, "_late": {"acks_late": True}, "_unkept": {"acks_late": True, "ignore_result": True}}
TASKS = {
    name + mode: shared_task(name=f"benchmarks.tasks.{name}{mode}", **options)(body)
    for name, body in bodies.BODIES.items()
    for mode, options in MODES.items()
}

nothing, count, increase = (
    shared_task(name=f"benchmarks.tasks.{body.__name__}")(body)
    for body in (bodies.nothing, bodies.count, bodies.increase)
)
