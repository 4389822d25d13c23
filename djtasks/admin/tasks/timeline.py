"""What has happened to a task, in order: read from its row, and from the log of what operators did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from djtasks.admin.tasks.seen import Seen
from djtasks.beat.moments import from_row
from djtasks.domain import states
from djtasks.models import Message, Result, Task

MOST_ENTRIES = 50
WORDS: Mapping[str, Any] = {
    "retry": gettext_lazy("failed, and is tried again"),
    "failure": gettext_lazy("failed"),
    "lost": gettext_lazy("lost with its worker"),
    "revoked": gettext_lazy("revoked"),
    "rejected": gettext_lazy("rejected"),
}


class Event(NamedTuple):
    """Something that happened to a task, or that is going to."""

    at: datetime
    what: str
    detail: str = ""
    is_ahead: bool = False


def timeline(task: Seen) -> list[Event]:
    """Return all that is known to have happened, and what is due to happen, in order."""
    events = [*_sending(task), *_attempts(task), *_ending(task), *_operators(task)]
    return sorted(events, key=lambda event: event.at)


def _sending(task: Seen) -> Iterator[Event]:
    options = task.row.options if isinstance(task.row.options, dict) else {}
    schedule = options.get("schedule")
    yield Event(from_row(task.row.enqueued_at), _("sent"), _("by the schedule %s") % schedule if schedule else "")
    due_at = task.row.due_at and from_row(task.row.due_at)
    if due_at and due_at > task.now:
        yield Event(due_at, _("due"), is_ahead=True)
    elif due_at and due_at > from_row(task.row.enqueued_at):
        yield Event(due_at, _("due"))


def _attempts(task: Seen) -> Iterator[Event]:
    for error in task.row.errors:
        where = str(error.get("hostname") or task.workers.get(error.get("worker"), "") or error.get("worker") or "")
        if started_at := _moment(error.get("started_at")):
            yield Event(started_at, _("begun"), where)
        if failed_at := _moment(error.get("failed_at")):
            kind = str(error.get("kind"))
            yield Event(failed_at, str(WORDS.get(kind, kind)), str(error.get("type", "")).rpartition(".")[2])
    if task.began and task.row.started_at:
        started_at = from_row(task.row.started_at)
        if started_at not in (_moment(error.get("started_at")) for error in task.row.errors):
            yield Event(started_at, _("begun"), task.worker)


def _ending(task: Seen) -> Iterator[Event]:
    if isinstance(task.row, Result):
        yield Event(from_row(task.row.finished_at), _("ended: %s") % task.row.state, task.row.hostname)
    if isinstance(task.row, Message):
        if task.row.revoked_at:
            yield Event(from_row(task.row.revoked_at), _("told to stop"), task.row.terminate)
        if task.row.leased_until and task.label in (states.RESERVED, states.RUNNING):
            until = from_row(task.row.leased_until)
            yield Event(until, _("lease ends unless renewed"), task.worker, is_ahead=True)
    if expires_at := getattr(task.row, "expires_at", None):
        what = _("record deleted") if task.result else _("expires unless begun")
        yield Event(from_row(expires_at), what, is_ahead=from_row(expires_at) > task.now)


def _operators(task: Seen) -> Iterator[Event]:
    kind = ContentType.objects.get_for_model(Task, for_concrete_model=False)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(task.pk)).select_related("user")
    for entry in entries.order_by("-pk")[:MOST_ENTRIES]:
        yield Event(from_row(entry.action_time), entry.get_change_message(), entry.user.get_username())


def _moment(text: Any) -> datetime | None:
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment and from_row(moment)
