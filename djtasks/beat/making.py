"""From a schedule to a message: for one of its slots, or outside them."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from djtasks.beat.declared import arguments_of
from djtasks.domain.messages import NewMessage
from djtasks.domain.options import seconds_of
from djtasks.domain.schedules.entries import check_options
from djtasks.models import Schedule
from djtasks.tasks import registry
from djtasks.tasks.preparing import Part, handle_of, prepare
from djtasks.tasks.resending import SENT_BY
from djtasks.tasks.results.result import AsyncResult
from djtasks.tasks.sending import insert

NAME_HEADER = "periodic_task_name"


def message_of(schedule: Schedule, slot: datetime, now: datetime) -> NewMessage:
    """Make the message for a slot; raises whatever is wrong with the schedule's task, arguments or options."""
    options = _options(schedule)
    due_at = slot + _spread(schedule, slot) + timedelta(seconds=seconds_of(options.pop("countdown", 0), "countdown"))
    if due_at > now:
        options["eta"] = due_at
    return _prepared(schedule, options, {"slot": slot.isoformat()})


def send_now(schedule: Schedule, operator: str = "") -> AsyncResult:
    """Send a schedule's message at once, for no slot: neither its next run nor what is recorded of its runs changes."""
    options = _options(schedule)
    message = _prepared(schedule, options, {SENT_BY: operator} if operator else {})
    insert([message], [])
    return handle_of(message, registry.find(schedule.task), options)


def _prepared(schedule: Schedule, options: dict[str, Any], kept: dict[str, Any]) -> NewMessage:
    args, kwargs = arguments_of(schedule)
    # Unknown here it is an error: nobody else would notice that nothing runs any more.
    task = registry.get(schedule.task)
    return prepare(task.name, task, args, kwargs, options, Part(kept={**kept, "schedule": schedule.name}))


def _options(schedule: Schedule) -> dict[str, Any]:
    check_options(schedule.options)
    options = {**schedule.options, "headers": {**schedule.headers, NAME_HEADER: schedule.name}}
    given = {"queue": schedule.queue or None, "priority": schedule.priority, "expires": schedule.lifetime}
    return options | {name: value for name, value in given.items() if value is not None}


def _spread(schedule: Schedule, slot: datetime) -> timedelta:
    """Return by how much a run is put off, which is always the same for the same slot."""
    if not schedule.jitter:
        return timedelta()
    return timedelta(seconds=Random(f"{schedule.pk} {slot.isoformat()}").uniform(0, schedule.jitter))
