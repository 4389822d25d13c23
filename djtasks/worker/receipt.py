"""What listeners are told of a message that was received and is to run."""

from __future__ import annotations

from contextlib import suppress

from djtasks import signals
from djtasks.domain.messages import Reservation
from djtasks.exceptions import DecodeError
from djtasks.tasks import registry
from djtasks.tasks.context import Request
from djtasks.worker.execution import Holder, request_for


def tell_of_receipt(message: Reservation, holder: Holder) -> None:
    """Send ``task_received`` if anybody listens."""
    if signals.task_received.receivers:
        signals.send(signals.task_received, holder.hostname, request=request_of(message, holder))


def request_of(message: Reservation, holder: Holder) -> Request:
    """Make the request of a message as far as its row, which may have been spoilt by hand, can be read."""
    request = request_for(message, holder)
    if (task := registry.find(message.task)) is not None:
        with suppress(DecodeError, TypeError, ValueError):
            request.read(message, task)
    return request
