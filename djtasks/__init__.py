"""djtasks: a distributed task queue whose broker, result store and schedule are tables of your own database.

The names below are loaded on first use (PEP 562), since Django imports this package before models are ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from djtasks.domain import states as states
    from djtasks.tasks.calling import enqueue_many as enqueue_many
    from djtasks.tasks.calling import send_task as send_task
    from djtasks.tasks.context import allow_join_result as allow_join_result
    from djtasks.tasks.current import current_task as current_task
    from djtasks.tasks.declare import shared_task as shared_task
    from djtasks.tasks.result import AsyncResult as AsyncResult
    from djtasks.tasks.result import EagerResult as EagerResult
    from djtasks.tasks.task import Task as Task

    task = shared_task

_NAMES = {
    "AsyncResult": "djtasks.tasks.result",
    "EagerResult": "djtasks.tasks.result",
    "Task": "djtasks.tasks.task",
    "allow_join_result": "djtasks.tasks.context",
    "current_task": "djtasks.tasks.current",
    "enqueue_many": "djtasks.tasks.calling",
    "send_task": "djtasks.tasks.calling",
    "shared_task": "djtasks.tasks.declare",
    "task": "djtasks.tasks.declare",
    "states": "djtasks.domain",
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
