"""The wait for a message to end, on a connection of its own."""

from __future__ import annotations

import threading
import time

from django.db import connections

from djtasks.broker.vendors import private_vendor
from djtasks.broker.vendors.base import RESULTS_CHANNEL
from djtasks.conf import settings
from djtasks.exceptions import TimeoutError
from djtasks.models import Message

SHORTEST_INTERVAL = 0.01


def wait_until_gone(
    message_id: str, timeout: float | None, interval: float, given_up: threading.Event | None = None
) -> None:
    """Wait until the message is gone, woken by the announcement of its end where there is one.

    Raises TimeoutError after ``timeout`` seconds. ``given_up`` tells that nobody waits for the answer any more.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    interval = max(interval, SHORTEST_INTERVAL)
    vendor = private_vendor()
    try:
        with vendor.listen(RESULTS_CHANNEL) as listener:
            vendor.await_result(message_id)
            while vendor.lives(message_id) and not (given_up is not None and given_up.is_set()):
                left = interval if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"the task {message_id} has not ended within {timeout} seconds")
                listener.wait(min(interval, left))
    finally:
        vendor.connection.close()


def check_that_workers_can_end(message_id: str) -> None:
    """Raise RuntimeError where the transaction that is open here keeps a message from ending as long as one waits."""
    if not connections[settings.DATABASE].in_atomic_block:
        return
    vendor = private_vendor()
    try:
        visible = vendor.lives(message_id)
    finally:
        vendor.connection.close()
    # It may have ended since the caller looked, so that nobody sees it.
    if not visible and Message.objects.using(settings.DATABASE).filter(pk=message_id).exists():
        raise RuntimeError(
            f"{message_id} was sent in the transaction that is still open here, or has ended where this cannot see it: "
            "no worker can have it now; wait for it after the commit"
        )
    if visible and vendor.one_writer:
        raise RuntimeError(
            f"while the transaction that is open here lasts, no worker can write that {message_id} has ended; "
            "wait for it after the commit"
        )
