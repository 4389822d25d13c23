"""Pause queues: what waits in them stays there, whatever workers there are, until they are resumed."""

from __future__ import annotations

from datetime import datetime

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Vendor, shared_vendor
from djtasks.broker.vendors.base import CONTROL_CHANNEL
from djtasks.domain.identifiers import check_queue_name
from djtasks.models import Queue
from djtasks.models.clock import Now


def pause(queue: str) -> bool:
    """Let workers receive nothing more from a queue; say whether that is a change.

    What they hold already, they run. Raises ValueError for what is no name for a queue.
    """
    return _write(check_queue_name(queue), is_paused=True)


def resume(queue: str) -> bool:
    """Let workers receive from a queue again; say whether that is a change."""
    return _write(check_queue_name(queue), is_paused=False)


def paused(vendor: Vendor) -> dict[str, datetime]:
    """Return the queues that are paused, and since when."""
    with vendor.bound():
        rows = Queue.objects.using(vendor.alias).filter(paused_at__isnull=False).order_by("name")
        return {row.name: row.paused_at for row in rows if row.paused_at}


def _write(queue: str, *, is_paused: bool) -> bool:
    vendor = shared_vendor()
    return patiently(vendor, _change, vendor, queue, is_paused)


def _change(vendor: Vendor, queue: str, is_paused: bool) -> bool:
    rows = Queue.objects.using(vendor.alias)
    with vendor.atomic():
        if is_paused:
            rows.bulk_create([Queue(name=queue)], ignore_conflicts=True)
        others = rows.filter(name=queue, paused_at__isnull=is_paused)
        if not others.update(paused_at=Now() if is_paused else None):
            return False
        # Every worker that hears of it looks what is paused.
        vendor.announce(CONTROL_CHANNEL, [queue])
    return True
