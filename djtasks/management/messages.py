"""What ``djtasks list``, ``result``, ``call`` and ``purge`` do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.management.report import Report, table
from djtasks.models import Message
from djtasks.tasks.calling import send_task
from djtasks.tasks.masking import shown_value
from djtasks.tasks.remote.control import control
from djtasks.tasks.results.result import AsyncResult

PAGE = 500
MOST_LOOKED_AT = 100_000
LABELS = (states.BLOCKED, states.DELAYED, states.RETRYING, states.READY, states.RESERVED, states.RUNNING)


def listed(state: str | None, task: str | None, queue: str | None, limit: int) -> Report:
    """List living messages, the newest first."""
    now = shared_vendor().now()
    given = {name: value for name, value in (("task", task), ("queue", queue)) if value}
    found: list[dict[str, Any]] = []
    for looked_at, message in enumerate(_newest(given), start=1):
        if state is None or _label(message, now) == state:
            found.append(_facts(message, now))
        if len(found) == limit or looked_at == MOST_LOOKED_AT:
            break
    columns = ("id", "task", "state", "queue", "priority", "retries", "deliveries", "enqueued_at", "due_at")
    rows = [[message[column] for column in columns] for message in found]
    return Report(found, table(columns, rows) if rows else "no messages")


def _newest(given: dict[str, str]) -> Iterator[Message]:
    messages = Message.objects.using(settings.DATABASE).filter(**given).order_by("-pk").defer("errors", "meta")
    last = UUID(int=2**128 - 1)
    while page := list(messages.filter(pk__lt=last)[:PAGE]):
        yield from page
        last = page[-1].pk


def _label(message: Message, now: datetime) -> str:
    return states.label_of_message(
        due_at=message.due_at,
        leased_until=message.leased_until,
        started_at=message.started_at,
        retries=message.retries,
        now=now,
    )


def _facts(message: Message, now: datetime) -> dict[str, Any]:
    return {
        "id": str(message.pk),
        "task": message.task,
        "state": _label(message, now),
        "queue": message.queue,
        "priority": message.priority,
        "retries": message.retries,
        "deliveries": message.deliveries,
        "enqueued_at": message.enqueued_at.isoformat(timespec="seconds"),
        "due_at": message.due_at and message.due_at.isoformat(timespec="seconds"),
    }


def result(id: UUID) -> Report:
    """Tell all that is known of a task."""
    handle = AsyncResult(id)
    facts: dict[str, Any] = {"id": handle.id, "state": None}
    if not handle.exists():
        return Report(facts, "", f"no task has the id {handle.id}: it never was, has expired, or was ignored")
    record = handle._record()
    state, value = handle.state, shown_value(handle.name or "", handle.result, record and record.options)
    facts = {
        "id": handle.id,
        "task": handle.name,
        "state": state,
        "queue": handle.queue,
        "worker": handle.worker,
        "retries": handle.retries,
        "deliveries": handle.deliveries,
        "date_done": handle.date_done and handle.date_done.isoformat(),
        "result": f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else value,
        "traceback": handle.traceback,
    }
    shown = table(("task", facts["id"]), [(name, facts[name]) for name in facts if name not in ("id", "traceback")])
    return Report(facts, "\n\n".join(filter(None, [shown, handle.traceback])))


def called(name: str, args: list[Any], kwargs: dict[str, Any], **options: Any) -> Report:
    """Send a task by its name, registered here or not."""
    given = {option: value for option, value in options.items() if value is not None}
    handle = send_task(name, args, kwargs, **given)
    return Report({"id": handle.id}, handle.id)


def paused(queues: Sequence[str]) -> Report:
    """Pause queues."""
    return _switched(queues, control.pause, "paused")


def resumed(queues: Sequence[str]) -> Report:
    """Resume queues."""
    return _switched(queues, control.resume, "resumed")


def _switched(queues: Sequence[str], switch: Callable[[str], bool], word: str) -> Report:
    data = {queue: switch(queue) for queue in queues}
    return Report(data, "\n".join(f"{queue}: {word if changed else 'as it was'}" for queue, changed in data.items()))


def purged(queues: Sequence[str] | None) -> Report:
    """Delete what waits."""
    count = control.purge(queues)
    return Report({"purged": count}, f"{count} waiting messages deleted")
