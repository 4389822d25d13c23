"""Every task of this process by its name: the only way from a row to code."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from djtasks.domain.signatures import INTERNAL
from djtasks.exceptions import AlreadyRegistered, NotRegistered

if TYPE_CHECKING:
    from djtasks.tasks.task import Task


class Origin(NamedTuple):
    """Where a callable was defined; ``loading`` tells apart two runs of its module."""

    place: str
    code: Any
    module: dict[str, Any]
    loading: object

    @property
    def is_interactive(self) -> bool:
        """Whether it was typed into a shell or a notebook, where one defines the same thing again and again."""
        return self.module.get("__name__") == "__main__" and "__file__" not in self.module


_tasks: dict[str, Task] = {}
_origins: dict[str, Origin] = {}
# Names that tasks had before, so that rows which carry them find the code of today (E11).
_aliases: dict[str, str] = {}


def register(task: Task) -> None:
    """Add a task; raise AlreadyRegistered where another callable has its name or one of its aliases.

    A module that is loaded anew replaces its own tasks, and so does a function that is called again those it defines.
    """
    known, new = _origins.get(task.name), _origin(task)
    if known is not None and not _may_replace(known, new):
        raise AlreadyRegistered(
            f"two tasks are named {task.name!r}: {known.place} and {new.place}; give one of them name=…"
        )
    _check_aliases(task)
    _forget_aliases(task.name)
    _tasks[task.name] = task
    _origins[task.name] = new
    _aliases.update(dict.fromkeys(task.aliases, task.name))


def find(name: str) -> Task | None:
    """Return the task that has this name, or had it before, or None."""
    return _tasks.get(name) or _tasks.get(_aliases.get(name, ""))


def get(name: str) -> Task:
    """Return the task that has this name, or had it before; raise NotRegistered."""
    if (task := find(name)) is None:
        raise NotRegistered(f"no task is named {name!r}: is its module imported, and its app installed?")
    return task


def names() -> Iterator[str]:
    """Yield the names of all tasks in order, but for those of djtasks' own."""
    yield from sorted(name for name in _tasks if not name.startswith(INTERNAL))


def forget(name: str) -> None:
    """Remove a task, if it is there."""
    _tasks.pop(name, None)
    _origins.pop(name, None)
    _forget_aliases(name)


def _forget_aliases(name: str) -> None:
    for alias in [alias for alias, known in _aliases.items() if known == name]:
        del _aliases[alias]


def _check_aliases(task: Task) -> None:
    if (other := _aliases.get(task.name, task.name)) != task.name:
        raise AlreadyRegistered(f"{task.name!r} is an alias of the task {other!r}; remove it from its aliases=[…]")
    for alias in task.aliases:
        other = alias if alias in _tasks else _aliases.get(alias, task.name)
        if alias == task.name or other != task.name:
            raise AlreadyRegistered(
                f"the task {task.name!r} cannot have the alias {alias!r}, which is a name of the task {other!r}"
            )


def _may_replace(known: Origin, new: Origin) -> bool:
    if new.is_interactive:
        return True
    if known.place != new.place:
        return False
    loaded_anew = known.module is not new.module or known.loading is not new.loading
    return loaded_anew or ("<locals>" in new.place and known.code is new.code)


def _origin(task: Task) -> Origin:
    target: Any = task.__wrapped__
    while isinstance(target, partial):
        target = target.func
    target = inspect.unwrap(target)
    code = getattr(target, "__code__", None)
    module = getattr(target, "__globals__", None) or vars(sys.modules.get(task.__module__, sys))
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    file = getattr(code, "co_filename", None) or module.get("__file__", task.__module__)
    # A script's own is relative to where it was started.
    return Origin(f"{name} in {os.path.abspath(file)}", code, module, module.get("__spec__"))
