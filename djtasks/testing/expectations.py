"""What is in the queue, and what is expected to be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.models import Message
from djtasks.tasks.masking import shown_arguments
from djtasks.tasks.task import Task
from djtasks.testing.time import ahead

PRECISION = timedelta(milliseconds=1)


def enqueued(task: Task | str | None = None, *, queue: str | None = None) -> list[Message]:
    """Return the messages that have not ended yet, in the order in which they were sent."""
    messages = Message.objects.using(settings.DATABASE).order_by("enqueued_at", "pk")
    if task is not None:
        messages = messages.filter(task=_name_of(task))
    return list(messages if queue is None else messages.filter(queue=queue))


def assert_enqueued(
    task: Task | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
    eta: datetime | timedelta | None = None,
    times: int | None = None,
) -> list[Message]:
    """Raise AssertionError unless such a message is in the queue, or so many are; return those that are.

    What is not given may be anything. ``eta`` is a moment, or for how long the message was put off when it was sent.
    """
    found = [
        message
        for message in enqueued(task, queue=queue)
        if (args is None or message.args == _as_received(list(args)))
        and (kwargs is None or message.kwargs == _as_received(dict(kwargs)))
        and (eta is None or _is_due(message, eta))
    ]
    if len(found) != times if times is not None else not found:
        wanted = {"args": args, "kwargs": kwargs, "queue": queue, "eta": eta}
        raise AssertionError(_complaint(task, wanted, times, len(found)))
    return found


def _as_received(value: Any) -> Any:
    return payloads.decode(payloads.encode(value, where="what is expected"))


def _is_due(message: Message, eta: datetime | timedelta) -> bool:
    if message.due_at is None:
        return False
    if isinstance(eta, timedelta):
        return abs(message.due_at - message.enqueued_at - eta) < PRECISION
    return abs(message.due_at + ahead() - eta) < PRECISION


def _name_of(task: Task | str) -> str:
    return task if isinstance(task, str) else task.name


def _complaint(task: Task | str, wanted: Mapping[str, Any], times: int | None, count: int) -> str:
    """Say what was expected, and all that is there instead."""
    details = ", ".join(f"{name}={value!r}" for name, value in wanted.items() if value is not None)
    expected = "at least once" if times is None else f"{times} times"
    lines = [f"{_name_of(task)} with {details or 'any arguments'} is in the queue {count} times, not {expected}."]
    messages = enqueued()
    now = shared_vendor().now()
    lines += ["The queue holds:" if messages else "The queue is empty."]
    return "\n".join([*lines, *(f"  {_line(message, now)}" for message in messages)])


def _line(message: Message, now: datetime) -> str:
    """Describe a message as its call is written."""
    args, kwargs = shown_arguments(message.task, message.args, message.kwargs, message.options)
    given = [repr(value) for value in args] if isinstance(args, list) else [str(args)]
    given += [f"{name}={value!r}" for name, value in kwargs.items()] if isinstance(kwargs, dict) else [str(kwargs)]
    due = "" if message.due_at is None or message.due_at <= now else f", due in {message.due_at - now}"
    return f"{message.task}({', '.join(given)}) in {message.queue!r}{due or ', blocked' * (message.due_at is None)}"
