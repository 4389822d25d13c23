"""Revoke a message: one conditional statement whose answer is true."""

from __future__ import annotations

import json
from typing import Literal
from uuid import UUID

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings

Answer = Literal["revoked", "requested", "too_late"]


def revoke(message_id: UUID) -> Answer:
    """Revoke a message.

    "revoked": its body will never begin. "requested": it may be running, and is marked. "too_late": it has ended,
    or never was.
    """
    error = json.dumps(
        {"kind": "revoked", "type": "djtasks.exceptions.TaskRevokedError", "message": "revoked", "reason": "revoked"}
    )
    answer = shared_vendor().revoke(message_id, error, hostname="", retention=settings.result_expires_seconds)
    return "too_late" if answer is None else "revoked" if answer == "revoked" else "requested"
