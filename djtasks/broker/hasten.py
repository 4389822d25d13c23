"""Let what waits for its time be due now."""

from __future__ import annotations

from uuid import UUID

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import shared_vendor
from djtasks.broker.vendors.base import MESSAGES_CHANNEL
from djtasks.models import Message
from djtasks.models.clock import Now


def hasten(message_id: UUID) -> bool:
    """Let a message that is delayed, or is to be retried later, be due now; say whether there was anything to do.

    What is blocked goes on waiting for others, and what a worker holds is due already.
    """
    vendor = shared_vendor()
    message = Message.objects.using(vendor.alias).filter(pk=message_id)
    if not patiently(vendor, message.filter(due_at__gt=Now()).update, due_at=Now()):
        return False
    vendor.announce(MESSAGES_CHANNEL, list(message.values_list("queue", flat=True)))
    return True
