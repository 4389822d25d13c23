"""What operators may do with tasks: each verb is one of the queue's own, asked for each task, and answered truly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from djtasks.admin.tasks.seen import Seen
from djtasks.broker.hasten import hasten
from djtasks.broker.move import move
from djtasks.domain import states
from djtasks.domain.identifiers import HIGHEST_PRIORITY, LOWEST_PRIORITY, check_queue_name
from djtasks.domain.workflows import NO_EDGES
from djtasks.exceptions import DjtasksError
from djtasks.models import Invocation, Result
from djtasks.tasks.resending import send_by
from djtasks.tasks.results.record import rows_of
from djtasks.tasks.results.result import AsyncResult

Given = Mapping[str, Any]

REFUSED = "refused"
LEFT_ALONE = frozenset({"alive", "unknown", "too_late", "not_waiting", REFUSED})
ANSWERS: Mapping[str, Any] = {
    "hastened": _("due now"),
    "not_waiting": _("did not wait for its time, left alone"),
    "requeued": _("runs again"),
    "sent": _("sent again under a new id"),
    "alive": _("waits or runs, left alone"),
    "unknown": _("gone, or cannot run again"),
    "revoked": _("revoked, will never begin"),
    "requested": _("may be running, and has been told"),
    "too_late": _("had ended already"),
    "moved": _("changed"),
    "deleted": _("deleted"),
    REFUSED: _("refused"),
}


class MoveForm(forms.Form):
    """Where a task is to stand; what is left empty stays as it is."""

    queue = forms.CharField(label=_("Queue"), required=False)
    priority = forms.IntegerField(
        label=_("Priority"), required=False, min_value=LOWEST_PRIORITY, max_value=HIGHEST_PRIORITY
    )

    def clean_queue(self) -> str | None:
        """Refuse what is no name for a queue."""
        queue: str = self.cleaned_data["queue"]
        if queue:
            try:
                check_queue_name(queue)
            except ValueError as error:
                raise forms.ValidationError(str(error)) from error
        return queue or None

    def clean(self) -> dict[str, Any]:
        """Ask for something to change."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and cleaned.get("queue") is None and cleaned.get("priority") is None:
            raise forms.ValidationError(_("Name a queue or a priority."))
        return cleaned


class Verb(NamedTuple):
    """What is done, who may do it, what is asked before, and to which tasks it applies."""

    name: str
    permission: str
    label: Any
    question: Any
    act: Callable[[UUID, Given, str], str]
    applies: Callable[[Seen], bool]
    form: type[forms.Form] | None = None
    # Whether what has been done already may be done a second time.
    replays: bool = False


def perform(verb: Verb, task_id: UUID, given: Given, operator: str) -> str:
    """Do it to one task for an operator; return the answer, also where the task refuses."""
    try:
        return verb.act(task_id, given, operator)
    except (DjtasksError, TypeError, ValueError):
        return REFUSED


def was_handed_more(row: Invocation) -> bool:
    """Say whether a task got more than its own arguments: what others handed over is not known any more."""
    return row.inputs != NO_EDGES or (isinstance(row.options, dict) and "failed" in row.options)


def _hasten(task_id: UUID, given: Given, operator: str) -> str:
    return "hastened" if hasten(task_id) else "not_waiting"


def _retry(task_id: UUID, given: Given, operator: str) -> str:
    return AsyncResult(task_id).requeue()


def _send_again(task_id: UUID, given: Given, operator: str) -> str:
    ended = rows_of(Result).filter(pk=task_id).first()
    if ended is None or was_handed_more(ended):
        return "unknown"
    standing = {"queue": ended.queue, "priority": ended.priority}
    send_by(operator, ended.task, ended.args, ended.kwargs, standing, ended)
    return "sent"


def _revoke(task_id: UUID, given: Given, operator: str) -> str:
    return AsyncResult(task_id).revoke()


def _terminate(task_id: UUID, given: Given, operator: str) -> str:
    return AsyncResult(task_id).revoke(terminate=True)


def _move(task_id: UUID, given: Given, operator: str) -> str:
    return "moved" if move(task_id, queue=given["queue"], priority=given["priority"]) else "too_late"


def _delete(task_id: UUID, given: Given, operator: str) -> str:
    handle = AsyncResult(task_id)
    if not handle.ready():
        return "alive" if handle.exists() else "unknown"
    handle.forget()
    return "deleted"


def _lives(task: Seen) -> bool:
    return task.message is not None


def _has_ended(task: Seen) -> bool:
    return task.result is not None


def _waits_for_its_time(task: Seen) -> bool:
    return task.label in (states.DELAYED, states.RETRYING)


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "run_now",
            "retry",
            _("Run now"),
            _("Let these tasks run now, instead of at their time?"),
            _hasten,
            _waits_for_its_time,
        ),
        Verb(
            "retry",
            "retry",
            _("Run again"),
            _("Run these tasks again, under the same ids? What they have done already, they may do a second time."),
            _retry,
            _has_ended,
            replays=True,
        ),
        Verb(
            "send_again",
            "retry",
            _("Run again as new tasks"),
            _("Send new tasks with the same arguments? What these have done already may be done a second time."),
            _send_again,
            _has_ended,
            replays=True,
        ),
        Verb(
            "revoke",
            "revoke",
            _("Revoke"),
            _("Revoke these tasks, and what they wait for? What runs is told so, and may go on."),
            _revoke,
            _lives,
        ),
        Verb(
            "terminate",
            "revoke",
            _("Revoke and terminate"),
            _("Revoke these tasks, and end those that run in the midst of what they do?"),
            _terminate,
            _lives,
        ),
        Verb(
            "move",
            "move",
            _("Change queue or priority"),
            _("Change where these tasks stand? What a worker holds is not disturbed: that counts afterwards."),
            _move,
            _lives,
            MoveForm,
        ),
        Verb(
            "delete_ended",
            "delete_ended",
            _("Delete ended tasks"),
            _("Delete the records of these tasks? Who asks for their results will not find them."),
            _delete,
            _has_ended,
        ),
    )
}
