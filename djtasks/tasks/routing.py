"""Where a message goes: as the call says, else its task, else the first router, else the settings (ROUTE-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed

from djtasks.conf import settings
from djtasks.domain.routes import Route, Router, check_route, routers_of
from djtasks.exceptions import ImproperlyConfigured, QueueNotFound
from djtasks.tasks.context import current_run

if TYPE_CHECKING:
    from djtasks.tasks.definition import Definition

Options = Mapping[str, Any]


def routed(
    name: str, task: Definition | None, args: Sequence[Any], kwargs: Mapping[str, Any], options: Options
) -> Options:
    """Lay the options of a call over those of its route, of which a task's own options leave the rest."""
    route = route_of(name, task, args, kwargs, options)
    rest = {key: value for key, value in route.items() if task is None or not _says(task, key)}
    # None clears what the route says of limits and expiry (CALL-5), as it would clear what the task says.
    return {**rest, **{key: value for key, value in options.items() if value is not None or key not in _UNCLEARED}}


def route_of(
    name: str, task: Definition | None, args: Sequence[Any], kwargs: Mapping[str, Any], options: Options
) -> Route:
    """Return what the first router says that says anything of this call."""
    for router in routers():
        route = router(name, args, kwargs, dict(options), task=task)
        if route is not None:
            return check_route(route, f"the route of {name!r}")
    return {}


@cache
def routers() -> tuple[Router, ...]:
    """Return the routers of TASK_ROUTES; raise ImproperlyConfigured for a dotted path that leads nowhere."""
    return tuple(_router_at(each) if isinstance(each, str) else each for each in routers_of(settings.TASK_ROUTES))


def check_known(queue: str) -> str:
    """Return the queue; raise QueueNotFound where the settings name all queues and this is none (ROUTE-2)."""
    if settings.TASK_CREATE_MISSING_QUEUES:
        return queue
    known = known_queues()
    if queue not in known:
        near = get_close_matches(queue, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it names {', '.join(sorted(known))}"
        raise QueueNotFound(f"no queue {queue!r} is in DJTASKS['TASK_QUEUES'], which names all there are; {hint}")
    return queue


def known_queues() -> set[str]:
    """Return the names of the queues where no others may be made."""
    return {settings.TASK_DEFAULT_QUEUE, *(settings.TASK_QUEUES or ())}


def inherited_priority(task: Definition | None, options: Options) -> int | None:
    """Return the priority of the running task for a child of which neither call nor task says one (ROUTE-4)."""
    run = current_run()
    if run is None or run[1].called_directly or options.get("priority") is not None:
        return None
    return None if task is not None and task.says("priority") else run[1].priority


_UNCLEARED = frozenset({"queue", "priority", "acks_late"})


def _says(task: Definition, option: str) -> bool:
    # That no expiry is the default needs no setting behind it.
    return task.says(option) and (option != "expires" or task.expires is not None)


def _router_at(path: str) -> Router:
    module, _, name = path.rpartition(".")
    try:
        router: Router = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(f"DJTASKS['TASK_ROUTES'] names {path!r}, which is not there: {error}") from error
    if not callable(router):
        raise ImproperlyConfigured(f"DJTASKS['TASK_ROUTES'] names {path!r}, which is no function: {router!r:.80}")
    return router


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJTASKS":
        routers.cache_clear()


setting_changed.connect(_forget, dispatch_uid="djtasks.tasks.routing")
