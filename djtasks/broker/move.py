"""Put a message into another queue, or in another place of its queue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import shared_vendor
from djtasks.broker.vendors.base import MESSAGES_CHANNEL
from djtasks.domain.identifiers import check_priority, check_queue_name
from djtasks.models import Message


def move(message_id: UUID, *, queue: str | None = None, priority: int | None = None) -> bool:
    """Change a living message's queue, priority or both; say whether it lives.

    Who holds it is not disturbed: what is changed counts from its next delivery (B12). Raises ValueError for a queue or
    a priority that cannot be.
    """
    changes: dict[str, Any] = {}
    if queue is not None:
        changes["queue"] = check_queue_name(queue)
    if priority is not None:
        changes["priority"] = check_priority(priority)
    vendor = shared_vendor()
    message = Message.objects.using(vendor.alias).filter(pk=message_id)
    if not (patiently(vendor, message.update, **changes) if changes else message.exists()):
        return False
    vendor.announce(MESSAGES_CHANNEL, list(message.values_list("queue", flat=True)))
    return True
