"""djtasks: a distributed task queue whose broker, result store and schedule are tables of your own database.

The names below are loaded on first use (PEP 562), since Django imports this package before models are ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from djtasks.domain import states as states
    from djtasks.domain.schedules.crontabs import crontab as crontab
    from djtasks.domain.schedules.intervals import every as every
    from djtasks.domain.schedules.intervals import schedule as schedule
    from djtasks.domain.schedules.moments import clocked as clocked
    from djtasks.domain.schedules.sun import solar as solar
    from djtasks.tasks.calling import enqueue_many as enqueue_many
    from djtasks.tasks.calling import send_task as send_task
    from djtasks.tasks.canvas.compositions import chain as chain
    from djtasks.tasks.canvas.compositions import chord as chord
    from djtasks.tasks.canvas.compositions import group as group
    from djtasks.tasks.canvas.maps import chunks as chunks
    from djtasks.tasks.canvas.maps import xmap as xmap
    from djtasks.tasks.canvas.maps import xstarmap as xstarmap
    from djtasks.tasks.canvas.signature import Signature as Signature
    from djtasks.tasks.canvas.signature import signature as signature
    from djtasks.tasks.canvas.workflow import Workflow as Workflow
    from djtasks.tasks.context import allow_join_result as allow_join_result
    from djtasks.tasks.current import current_task as current_task
    from djtasks.tasks.declare import shared_task as shared_task
    from djtasks.tasks.logs import get_task_logger as get_task_logger
    from djtasks.tasks.remote.control import control as control
    from djtasks.tasks.remote.inspection import inspect as inspect
    from djtasks.tasks.results.groups import ResultSet as ResultSet
    from djtasks.tasks.results.result import AsyncResult as AsyncResult
    from djtasks.tasks.results.result import EagerResult as EagerResult
    from djtasks.tasks.results.result import GroupResult as GroupResult
    from djtasks.tasks.scheduled import scheduled as scheduled
    from djtasks.tasks.stamping import StampingVisitor as StampingVisitor
    from djtasks.tasks.task import Task as Task

    task = shared_task

_NAMES = {
    "AsyncResult": "djtasks.tasks.results.result",
    "EagerResult": "djtasks.tasks.results.result",
    "GroupResult": "djtasks.tasks.results.result",
    "ResultSet": "djtasks.tasks.results.groups",
    "Signature": "djtasks.tasks.canvas.signature",
    "StampingVisitor": "djtasks.tasks.stamping",
    "Task": "djtasks.tasks.task",
    "Workflow": "djtasks.tasks.canvas.workflow",
    "allow_join_result": "djtasks.tasks.context",
    "chain": "djtasks.tasks.canvas.compositions",
    "chord": "djtasks.tasks.canvas.compositions",
    "chunks": "djtasks.tasks.canvas.maps",
    "clocked": "djtasks.domain.schedules.moments",
    "control": "djtasks.tasks.remote.control",
    "crontab": "djtasks.domain.schedules.crontabs",
    "current_task": "djtasks.tasks.current",
    "enqueue_many": "djtasks.tasks.calling",
    "every": "djtasks.domain.schedules.intervals",
    "get_task_logger": "djtasks.tasks.logs",
    "group": "djtasks.tasks.canvas.compositions",
    "inspect": "djtasks.tasks.remote.inspection",
    "schedule": "djtasks.domain.schedules.intervals",
    "scheduled": "djtasks.tasks.scheduled",
    "send_task": "djtasks.tasks.calling",
    "shared_task": "djtasks.tasks.declare",
    "signature": "djtasks.tasks.canvas.signature",
    "solar": "djtasks.domain.schedules.sun",
    "states": "djtasks.domain",
    "task": "djtasks.tasks.declare",
    "xmap": "djtasks.tasks.canvas.maps",
    "xstarmap": "djtasks.tasks.canvas.maps",
}
__all__ = [*_NAMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'djtasks' has no attribute {name!r}")
    value = getattr(import_module(_NAMES[name]), "shared_task" if name == "task" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
