"""What an errback is called with: what has failed, and how (CANV-3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from djtasks.domain import payloads
from djtasks.exceptions import DecodeError
from djtasks.tasks.context import Request
from djtasks.tasks.errors import rebuild

if TYPE_CHECKING:
    from djtasks.tasks.definition import Definition


def arguments_of(errback: Definition, failed: Any) -> tuple[Any, ...]:
    """Return what goes before an errback's own arguments: the failed task's request, its exception and traceback.

    One whose body takes a single argument gets the failed task's id alone. Raises DecodeError for a spoilt row.
    """
    if not isinstance(failed, Mapping) or not isinstance(failed.get("error"), Mapping):
        raise DecodeError("the row does not say what has failed")
    if not takes_several(errback):
        return (failed.get("id"),)
    request = Request(id=failed.get("id"), task=str(failed.get("task")), retries=failed.get("retries") or 0)
    request.args = tuple(payloads.decode(failed.get("args") or "[]"))
    request.kwargs = payloads.decode(failed.get("kwargs") or "{}")
    request.called_directly = False
    return request, rebuild(dict(failed["error"])), failed["error"].get("traceback")


def takes_several(task: Definition) -> bool:
    """Say whether a task's body takes more than one positional argument."""
    kinds = [parameter.kind for parameter in task.parameters.values()]
    positional = sum(kind in (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD) for kind in kinds)
    return positional > 1 or any(kind is kind.VAR_POSITIONAL for kind in kinds)
