"""Revoke a message: one conditional statement whose answer is true."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Literal
from uuid import UUID

from djtasks.broker.patience import patiently
from djtasks.broker.resolve import consequences_of_revocation
from djtasks.broker.vendors import Vendor, shared_vendor
from djtasks.conf import settings
from djtasks.domain.messages import Token

Answer = Literal["revoked", "requested", "too_late"]


def revoke(message_id: UUID, *, terminate: str = "") -> Answer:
    """Revoke a message; ``terminate`` names the signal by which its body is to be ended if it runs, or nothing.

    "revoked": its body will never begin. "requested": it may be running, and is marked. "too_late": it has ended,
    or never was.
    """
    error = json.dumps(
        {"kind": "revoked", "type": "djtasks.exceptions.TaskRevokedError", "message": "revoked", "reason": "revoked"}
    )
    vendor = shared_vendor()
    answer = patiently(vendor, _revoke, vendor, message_id, error, terminate)
    return "too_late" if answer is None else "revoked" if answer == "revoked" else "requested"


def revoked(vendor: Vendor, tokens: Collection[Token]) -> dict[Token, str]:
    """Say which of these messages were revoked while they are held, and the signal that is to end each, or ""."""
    return vendor.revoked(tokens) if tokens else {}


def _revoke(vendor: Vendor, message_id: UUID, error: str, terminate: str) -> str | None:
    retention = settings.result_expires_seconds
    with vendor.atomic():
        answer = vendor.revoke(message_id, error, hostname="", retention=retention, terminate=terminate)
        if answer == "revoked":
            consequences_of_revocation(vendor, message_id, error, retention=retention)
    return answer
