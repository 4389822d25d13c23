"""The decorator that makes a task of a callable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from djtasks.domain.identifiers import check_task_name, task_name
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks import registry
from djtasks.tasks.annotating import annotate
from djtasks.tasks.task import Task


@overload
def shared_task(function: Callable[..., Any], /) -> Task: ...
@overload
def shared_task(**options: Any) -> Callable[[Callable[..., Any]], Task]: ...


def shared_task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of any callable and register it under its unique name.

    ``name`` defaults to the module path, also in a script that is run as ``__main__``; with ``bind`` the body gets
    the task as its first argument; ``base`` is a subclass of Task. The other options are Task's own (TASK-1). Raises
    ImproperlyConfigured for options that cannot work, AlreadyRegistered for a name that another callable has.
    """
    if function is None:
        return lambda function: _declare(function, **options)
    return _declare(function, **options)


def _declare(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    bind: bool = False,
    base: type[Task] | None = None,
    **options: Any,
) -> Task:
    if not callable(function):
        raise ImproperlyConfigured(f"a task is made of a callable, not of {function!r}; options are given by name")
    if base is not None and not (isinstance(base, type) and issubclass(base, Task)):
        raise ImproperlyConfigured(f"base={base!r} is not a subclass of djtasks.Task")
    try:
        full_name = check_task_name(task_name(function) if name is None else name)
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from None
    try:
        task = (base or Task).make(function, full_name, bind, options)
    except TypeError as error:
        raise ImproperlyConfigured(str(error)) from None
    annotate(task)
    registry.register(task)
    return task
