"""``TASK_ROUTES``, read once: the routers that give a message its queue by the name of its task (ROUTE-1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from djtasks.domain.identifiers import check_queue_name
from djtasks.domain.options import ROUTE_OPTIONS, check_names, check_values

Route = Mapping[str, Any]
# Called with (name, args, kwargs, options, task=…); gives a queue, a dict of options, or None to let the next one say.
Router = Callable[..., object]


def routers_of(routes: Any) -> tuple[Router | str, ...]:
    """Read ``TASK_ROUTES`` as routers in the order in which they are asked; a dotted path stays one.

    Raises TypeError or ValueError for what cannot be meant.
    """
    if routes is None:
        return ()
    return tuple(_router(each) for each in (routes if isinstance(routes, (list, tuple)) else [routes]))


def check_route(route: object, where: str) -> Route:
    """Return what a router gave as a dict of options; raise TypeError or ValueError where it cannot be meant."""
    if isinstance(route, str):
        return {"queue": check_queue_name(route)}
    if not isinstance(route, Mapping):
        raise TypeError(f"{where} is a queue or a dict of options, not {route!r:.80}")
    check_names(route, ROUTE_OPTIONS, where)
    check_values(route)
    return route


class ByName:
    """Gives the route of a task's exact name, else that of the first pattern that fits it."""

    def __init__(self, routes: Mapping[Any, object] | Iterable[Any]) -> None:
        self.exact: dict[str, Route] = {}
        self.patterns: list[tuple[re.Pattern[str], Route]] = []
        self.said: list[tuple[str, Route]] = []
        for name, route in _pairs(routes):
            written = getattr(name, "pattern", name)
            checked = check_route(route, f"the route of {written!r}")
            self.said.append((str(written), checked))
            if isinstance(name, re.Pattern):
                self.patterns.append((name, checked))
            elif not isinstance(name, str):
                raise TypeError(f"a route is for the name of a task or a compiled pattern, not for {name!r:.80}")
            elif "*" in name:
                self.patterns.append((_glob(name), checked))
            else:
                self.exact[name] = checked

    def __call__(self, name: str, *facts: object, **more: object) -> Route | None:
        if name in self.exact:
            return self.exact[name]
        return next((route for pattern, route in self.patterns if pattern.match(name)), None)


def _router(given: Any) -> Router | str:
    if isinstance(given, (Mapping, list, tuple)):
        return ByName(given)
    if isinstance(given, str):
        if "." not in given or not all(part.isidentifier() for part in given.split(".")):
            raise ValueError(f"{given!r:.80} is no dotted path to a router: write package.module.function")
        return given
    if not callable(given):
        raise TypeError(
            "expected a dict of routes by the names of tasks, a function, a dotted path to one, or a list of these, "
            f"not {given!r:.80}"
        )
    router: Router = given
    return router


def _pairs(routes: Mapping[Any, object] | Iterable[Any]) -> Iterable[tuple[Any, object]]:
    for pair in routes.items() if isinstance(routes, Mapping) else routes:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"a list of routes holds pairs of a name and its route, not {pair!r:.80}")
        yield pair


def _glob(name: str) -> re.Pattern[str]:
    """Read ``*`` as Celery does: as one character or more."""
    return re.compile(".+".join(map(re.escape, name.split("*"))) + r"\Z")
