"""A task's own word on how far it is, while it runs (RES-3)."""

from __future__ import annotations

from typing import Any

from djtasks.conf import settings
from djtasks.exceptions import LeaseLost
from djtasks.models import Message
from djtasks.tasks.context import Request


def update_state(request: Request, task_id: str | None, state: str | None, meta: Any) -> None:
    """Write state and meta to the living message; raise LeaseLost where it is no longer this run's own."""
    if request.is_eager or (request.id is None and task_id is None):
        return
    changes = {key: value for key, value in (("state", state), ("meta", meta)) if value is not None}
    messages = Message.objects.using(settings.DATABASE)
    if task_id is not None and task_id != request.id:
        messages.filter(pk=task_id).update(**changes)
    elif not messages.filter(pk=request.id, deliveries=request.deliveries).update(**changes):
        raise LeaseLost(f"{request.task}[{request.id}] is no longer held by delivery {request.deliveries}")
