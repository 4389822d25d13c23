"""Our options for Django's tasks: which there are, and three places to say them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from djtasks.domain.options import TASK_OPTIONS, check_names
from djtasks.exceptions import ImproperlyConfigured

F = TypeVar("F", bound=Callable[..., Any])

# Django has words of its own for the first two, and takes nothing but JSON, so that no model ever comes to a body.
_NOT_TAKEN = {
    "queue": "Django's word is queue_name",
    "priority": "it is Django's own: @task(priority=…)",
    **dict.fromkeys(
        ("pydantic", "pydantic_strict", "pydantic_context", "pydantic_dump_kwargs"),
        "Django's tasks take JSON alone: declare it with @shared_task",
    ),
}
OPTIONS = tuple(sorted(TASK_OPTIONS - set(_NOT_TAKEN)))
_KEPT = "djtasks_options"


def task_options(**options: Any) -> Callable[[F], F]:
    """Give options of djtasks to the function below, which is to become a task of Django's: for Django 6.0.

    Where ``@task`` takes them itself, there is no need for this. Raises ImproperlyConfigured for what is no option.
    """
    check(options, "task_options")

    def keep(function: F) -> F:
        if not hasattr(function, "__globals__"):
            raise ImproperlyConfigured(f"@task_options stands below @task: {function!r:.80} is no function")
        setattr(function, _KEPT, options)
        return function

    return keep


def check(options: Iterable[str], where: str) -> None:
    """Raise ImproperlyConfigured for a name that is no option of Django's tasks."""
    for name in options:
        if name in _NOT_TAKEN:
            raise ImproperlyConfigured(f"{where} takes no option {name!r}: {_NOT_TAKEN[name]}")
    check_names(options, OPTIONS, where, ImproperlyConfigured)


def said_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return what ``task_options`` has said of a function."""
    said: Mapping[str, Any] = getattr(function, _KEPT, {})
    return said
