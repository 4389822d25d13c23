"""Insert messages on the caller's own connection, in the caller's own transaction."""

from __future__ import annotations

from collections.abc import Sequence

from djtasks.broker.vendors import shared_vendor
from djtasks.domain.messages import NewMessage


def enqueue(messages: Sequence[NewMessage]) -> None:
    """Insert the messages in one statement: they are there if, and as soon as, the caller's transaction commits.

    Raises AlreadyEnqueued where an id is taken.
    """
    if messages:
        shared_vendor().insert(messages)
