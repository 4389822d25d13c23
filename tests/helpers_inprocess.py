"""Sentences for tests that need no worker: the test kit runs what is queued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.testing import Delivery, drain
from djtasks.testing.inline import InlineWorker

ENDLESS = 100


def run_until_empty(*queues: str, patient: bool = False) -> list[Delivery]:
    """Run all messages, or those of these queues; the time passes for delayed ones, unless told to be patient."""
    return drain(queues or None, delayed=not patient, propagate=False, at_most=ENDLESS)


def run_one(*queues: str) -> Delivery | None:
    """Run the next message that is due, if there is one."""
    worker = InlineWorker()
    messages = worker.reserve(*queues)
    return worker.deliver(*messages) if messages else None


@contextmanager
def private() -> Iterator[Vendor]:
    """Lend a connection such as a worker has."""
    vendor = private_vendor()
    try:
        yield vendor
    finally:
        vendor.connection.close()
