"""Every task of this process by its name: the only way from a row to code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from djtasks.exceptions import AlreadyRegistered, NotRegistered

if TYPE_CHECKING:
    from djtasks.tasks.task import Task

_tasks: dict[str, Task] = {}


def register(task: Task) -> None:
    """Add a task; raise AlreadyRegistered where another callable has its name.

    A module that is loaded anew replaces its own tasks.
    """
    known = _tasks.get(task.name)
    if known is not None and _origin(known) != _origin(task):
        raise AlreadyRegistered(
            f"two tasks are named {task.name!r}: {_origin(known)} and {_origin(task)}; give one of them name=…"
        )
    _tasks[task.name] = task


def _origin(task: Task) -> str:
    code = getattr(task.run, "__code__", None)
    file = getattr(code, "co_filename", "")
    return f"{getattr(task.run, '__qualname__', type(task).__qualname__)} in {file or task.__module__}"


def find(name: str) -> Task | None:
    """Return the task of this name, or None."""
    return _tasks.get(name)


def get(name: str) -> Task:
    """Return the task of this name; raise NotRegistered."""
    try:
        return _tasks[name]
    except KeyError:
        raise NotRegistered(f"no task is named {name!r}: is its module imported, and its app installed?") from None


def names() -> Iterator[str]:
    """Yield the names of all tasks in order."""
    yield from sorted(_tasks)


def forget(name: str) -> None:
    """Remove a task, if it is there."""
    _tasks.pop(name, None)
