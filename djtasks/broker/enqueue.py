"""Insert messages on the caller's own connection, in the caller's own transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import shared_vendor
from djtasks.domain.batches import batches
from djtasks.domain.messages import NewMessage
from djtasks.domain.workflows import Edge

BATCH = 5000


def enqueue(messages: Sequence[NewMessage], chosen: Sequence[str] = ()) -> datetime | None:
    """Insert the messages in one statement: they are there if, and as soon as, the caller's transaction commits.

    Returns when that was, by the database's clock. Raises AlreadyEnqueued where an id is taken, which only one can be
    that was ``chosen``.
    """
    vendor = shared_vendor()
    if not messages:
        return None
    # In the caller's transaction no savepoint is worth its price: ids that are new wait for nobody.
    return vendor.insert(messages, chosen) if vendor.joins else patiently(vendor, vendor.insert, messages, chosen)


def enqueue_workflow(messages: Iterable[NewMessage], edges: Iterable[Edge]) -> None:
    """Insert messages and the edges between them, all or none; they are read a batch at a time, the messages first.

    Raises AlreadyEnqueued where an id is taken.
    """
    vendor = shared_vendor()
    with vendor.atomic():
        for some in batches(messages, BATCH):
            vendor.insert_workflow(some, ())
        for few in batches(edges, BATCH):
            vendor.insert_workflow((), few)
