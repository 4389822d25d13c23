"""Schedules that are declared next to their tasks; beats bring them into the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from djtasks.conf import settings
from djtasks.domain.schedules.entries import Entry, entry_of
from djtasks.domain.schedules.rules import Rule
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks import registry
from djtasks.tasks.task import Task

T = TypeVar("T")

# With the task as it was declared: ours, or one of Django's.
_declared: dict[str, tuple[Entry, Any]] = {}


def scheduled(rule: Rule | str | float | timedelta, *, name: str | None = None, **fields: Any) -> Callable[[T], T]:
    """Declare a schedule of the task below; the fields are those of an entry of ``BEAT_SCHEDULE``.

    Its name is the task's, unless it is given: a second schedule of a task needs one of its own. Raises
    ImproperlyConfigured for what cannot work.
    """

    def declare(task: T) -> T:
        if not isinstance(task, Task) and not hasattr(task, "module_path"):
            raise ImproperlyConfigured(f"@scheduled stands above @shared_task, or @task: {task!r:.80} is no task")
        try:
            entry = entry_of(_name_of(task) if name is None else name, {"task": task, "schedule": rule, **fields})
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(str(error)) from error
        known = _declared.get(entry.name)
        if known and _is_registered(known[1]):
            names = f"{_name_of(known[1])} and {_name_of(task)}"
            raise ImproperlyConfigured(f"two schedules are named {entry.name!r}, of {names}: give one of them name=…")
        _declared[entry.name] = entry, task
        return task

    return declare


def declared() -> dict[str, tuple[Entry, str]]:
    """Return all entries and where they stand; those of the settings take the place of those beside tasks."""
    beside = {name: (entry, "code") for name, (entry, task) in _declared.items() if _is_registered(task)}
    said: Mapping[str, Any] = settings.BEAT_SCHEDULE or {}
    return beside | {name: (entry_of(name, given), "settings") for name, given in said.items()}


def find(name: str) -> Entry | None:
    """Return the entry of this name, or None."""
    said: Mapping[str, Any] = settings.BEAT_SCHEDULE or {}
    if name in said:
        return entry_of(name, said[name])
    found = _declared.get(name)
    return found[0] if found and _is_registered(found[1]) else None


def _name_of(task: Any) -> str:
    return str(task.name if isinstance(task, Task) else task.module_path)


def _is_registered(task: Any) -> bool:
    # A module that is loaded anew makes its tasks anew, and says anew what is scheduled.
    found = registry.find(_name_of(task))
    return found is not None and found.stands_for(task)
