"""Tasks of djtasks' own, of which workflows are made; ``registry.names`` does not list them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from djtasks.domain.signatures import ERRBACK, GATHER, MAP, STARMAP
from djtasks.tasks import registry
from djtasks.tasks.canvas.signature import signature
from djtasks.tasks.declare import shared_task


@shared_task(name=GATHER, acks_late=True, sensitive=True)
def gather(values: list[Any]) -> list[Any]:
    """Hand a list on, so that others can take it from one message."""
    return values


@shared_task(name=MAP)
def xmap(task: str | Mapping[str, Any], it: Iterable[Any]) -> list[Any]:
    """Run a task for each item, one after the other (CANV-11)."""
    run = _task_of(task)
    return [run(item) for item in it]


@shared_task(name=STARMAP)
def xstarmap(task: str | Mapping[str, Any], it: Iterable[Any]) -> list[Any]:
    """Run a task for each list of arguments, one after the other (CANV-11)."""
    run = _task_of(task)
    return [run(*arguments) for arguments in it]


@shared_task(name=ERRBACK, sensitive=True)
def errback(failed_id: str, *, canvas: Mapping[str, Any]) -> None:
    """Send an errback that is more than one plain task, with the id of what has failed (CANV-3)."""
    signature(canvas).apply_async((failed_id,))


def _task_of(task: str | Mapping[str, Any]) -> Any:
    return registry.get(task if isinstance(task, str) else task["task"])
