"""Django's system checks of what is said of tasks: routes, queues, annotations and schedules that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Warning

from djtasks.checks import TAG
from djtasks.conf import settings
from djtasks.domain.annotations import names_of
from djtasks.domain.routes import ByName
from djtasks.exceptions import ImproperlyConfigured, QueueNotFound
from djtasks.tasks import registry, routing, scheduled


def register() -> None:
    """Have Django run the checks."""
    for check in (check_routes, check_queues, check_annotations, check_schedules):
        checks.register(check, TAG)


def check_routes(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a router that is not where TASK_ROUTES says."""
    if not _are_settings_right():
        return []
    try:
        routing.routers()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="Name a function, as package.module.function.", id="djtasks.E012")]
    return []


def check_queues(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report tasks and routes for queues that TASK_QUEUES lacks, where it names all there are."""
    if not _are_settings_right() or settings.TASK_CREATE_MISSING_QUEUES or check_routes():
        return []
    found: list[CheckMessage] = []
    for who, queue in _queues_in_use():
        try:
            routing.check_known(queue)
        except QueueNotFound as error:
            found.append(Error(f"{who} has the queue {queue!r}: {error}.", hint=_QUEUE_HINT, id="djtasks.E013"))
    return found


def check_annotations(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report annotations of tasks that are not there."""
    if not _are_settings_right():
        return []
    known = list(registry.names())
    return [
        Warning(
            f"DJTASKS['TASK_ANNOTATIONS'] speaks of a task {name!r}, and there is none of that name.",
            hint=f"Did you mean {near[0]!r}?" if (near := get_close_matches(name, known, n=1)) else "Remove it.",
            id="djtasks.W012",
        )
        for name in sorted(names_of(settings.TASK_ANNOTATIONS) - set(known))
    ]


def check_schedules(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report schedules that are declared for tasks that are not there."""
    if not _are_settings_right():
        return []
    known = list(registry.names())
    unknown = {
        name: task
        for name, (entry, _) in scheduled.declared().items()
        if registry.find(task := entry.columns["task"]) is None
    }
    return [
        Warning(
            f"The schedule {name!r} sends the task {task!r}, and there is none of that name.",
            hint=f"Did you mean {near[0]!r}?" if (near := get_close_matches(task, known, n=1)) else "Remove it.",
            id="djtasks.W013",
        )
        for name, task in sorted(unknown.items())
    ]


_QUEUE_HINT = "Add it to DJTASKS['TASK_QUEUES'], or let TASK_CREATE_MISSING_QUEUES be True."


def _queues_in_use() -> Iterator[tuple[str, str]]:
    for name in registry.names():
        yield f"The task {name!r}", registry.get(name).queue
    for router in routing.routers():
        if isinstance(router, ByName):
            for said, route in router.said:
                if "queue" in route:
                    yield f"The route of {said!r}", route["queue"]


def _are_settings_right() -> bool:
    try:
        return bool(settings.DATABASE)
    except ImproperlyConfigured:
        return False
