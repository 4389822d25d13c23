"""Errbacks: messages that are kept with another one, and sent when that one fails (CANV-3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from djtasks.domain.identifiers import new_id
from djtasks.domain.messages import NewMessage


def are_kept(options: str) -> bool:
    """Say whether options (JSON text) may keep errbacks."""
    return '"link_error"' in options


def messages_of(options: str, failed: Mapping[str, Any], error: str) -> list[NewMessage]:
    """Make the messages that a failed one's options (JSON text) keep; raise whatever spoilt ones make it raise.

    ``failed`` says what is told of it: its id, task, args and kwargs (JSON text) and retries; ``error`` is a JSON line.
    """
    if not are_kept(options):
        return []
    told = {name: failed[name] for name in ("id", "task", "args", "kwargs", "retries")} | {"error": json.loads(error)}
    return [_message_of(kept, told) for kept in json.loads(options)["link_error"]]


def _message_of(kept: Mapping[str, Any], told: Mapping[str, Any]) -> NewMessage:
    # Its id is new, since what has failed may be run again, and fail again.
    message = NewMessage(**{**kept, "id": new_id()})
    return message._replace(options=json.dumps({**json.loads(message.options), "failed": told}))
