"""Delete results whose time is over, and messages that are not wanted, in small batches that disturb nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from djtasks.broker.patience import patiently
from djtasks.broker.revoke import revoke
from djtasks.broker.vendors import Vendor
from djtasks.domain.workflows import NO_EDGES
from djtasks.models import Message

BATCH = 1000


def purge_results(vendor: Vendor, pause: Callable[[], bool] = lambda: True) -> int:
    """Delete expired results a batch at a time; between batches ``pause`` says whether to go on."""
    purged = 0
    while count := patiently(vendor, vendor.purge_results, BATCH):
        purged += count
        if count < BATCH or not pause():
            break
    return purged


def purge_messages(vendor: Vendor, queues: Sequence[str] | None = None) -> int:
    """Delete what waits in these queues, or in all, a batch at a time; what is leased to a worker stays.

    What belongs to a workflow is revoked instead, so that nobody elsewhere waits for it for ever.
    """
    purged, last = 0, UUID(int=0)
    # What is sent meanwhile stays, so that this comes to an end.
    until = vendor.now()
    with vendor.bound():
        waiting = Message.objects.using(vendor.alias).filter(leased_until=None)
        before = waiting.filter(enqueued_at__lte=until, **({} if queues is None else {"queue__in": queues}))
        while ids := list(before.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            # One statement that decides for each row anew: what was received since is not deleted.
            alone = waiting.filter(pk__in=ids, feeds=0, inputs=NO_EDGES)
            purged += patiently(vendor, alone._raw_delete, vendor.alias)
            rest = list(waiting.filter(pk__in=ids).values_list("pk", flat=True))
            purged += sum(revoke(pk) == "revoked" for pk in rest)
            last = ids[-1]
    return purged
