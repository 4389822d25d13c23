"""A task's own word on how far it is, while it runs (RES-3)."""

from __future__ import annotations

from typing import Any

from djtasks.conf import settings
from djtasks.domain import payloads, states
from djtasks.exceptions import LeaseLost
from djtasks.models import Message
from djtasks.tasks.context import Request

STATE_LENGTH = 64


def update_state(request: Request, task_id: str | None, state: str | None, meta: Any) -> None:
    """Write state and meta to the living message; raise LeaseLost where it is no longer this run's own."""
    changes: dict[str, Any] = {}
    if state is not None:
        changes["state"] = _check_state(state)
    if meta is not None:
        payloads.encode(meta, where="meta", max_bytes=settings.MAX_PAYLOAD_BYTES)
        changes["meta"] = meta
    mine = task_id is None or task_id == request.id
    if not changes or (mine and (request.is_eager or request.id is None)):
        return
    messages = Message.objects.using(settings.DATABASE)
    if task_id is not None and not mine:
        messages.filter(pk=task_id).update(**changes)
        return
    held = messages.filter(pk=str(request.id), deliveries=request.deliveries, leased_until__isnull=False)
    if not held.update(**changes):
        raise LeaseLost(f"{request.task}[{request.id}] is no longer held by delivery {request.deliveries}")


def _check_state(state: str) -> str:
    if not isinstance(state, str) or not 0 < len(state) <= STATE_LENGTH or not state.isprintable():
        raise ValueError(f"a state is a word of up to {STATE_LENGTH} printable characters, not {state!r:.100}")
    if state in states.READY_STATES:
        raise ValueError(f"{state} is how a task ends, and is recorded when it does: return a value or raise an error")
    return state
