"""What operators do with schedules: run now, enable, disable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from djtasks.admin.audit import record
from djtasks.admin.confirming import is_confirmed, question
from djtasks.beat.making import send_now
from djtasks.exceptions import DjtasksError
from djtasks.management.schedules import switched
from djtasks.models import Schedule

if TYPE_CHECKING:
    from djtasks.admin.schedules.admin import ScheduleAdmin


class Verb(NamedTuple):
    """What is done to a schedule, who may do it, and what is asked before."""

    name: str
    permission: str
    label: Any
    question: Any
    act: Callable[[Schedule, str], str]


def act(admin: ScheduleAdmin, request: HttpRequest, verb: Verb, schedules: Iterable[Schedule]) -> HttpResponse | None:
    """Ask whether to do it, and once that is confirmed do it to each of them."""
    chosen = list(schedules)
    if not is_confirmed(request):
        return question(admin, request, title=verb.label, text=verb.question, names=chosen)
    for schedule in chosen:
        try:
            said = verb.act(schedule, request.user.get_username())
        except (DjtasksError, TypeError, ValueError) as error:
            messages.error(request, f"{verb.label}: {schedule.name}: {error}")
            continue
        with translation.override(None):
            record(request, Schedule, [(schedule.pk, schedule.name)], f"{verb.label}{f': {said}' if said else ''}")
        messages.success(request, f"{verb.label}: {schedule.name} {said}")
    return None


def _run(schedule: Schedule, operator: str) -> str:
    return str(send_now(schedule, operator).id)


def _enable(schedule: Schedule, operator: str) -> str:
    switched([schedule.name], True)
    return ""


def _disable(schedule: Schedule, operator: str) -> str:
    # Also one that is broken.
    switched([schedule.name], False)
    return ""


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("run_now", "run", _("Run now"), _("Send what these schedules send, now and beside their slots?"), _run),
        Verb("enable", "change", _("Enable"), _("Enable these schedules? Nothing is sent for the past."), _enable),
        Verb("disable", "change", _("Disable"), _("Disable these schedules? They send nothing any more."), _disable),
    )
}
