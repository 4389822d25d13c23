"""From the choice of tasks to what was done to them: first a question, then the verb, then the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import translation
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from djtasks.admin.audit import record
from djtasks.admin.confirming import is_confirmed, question
from djtasks.admin.tasks.criteria import Criteria, criteria_of
from djtasks.admin.tasks.fingerprints import take_fingerprints
from djtasks.admin.tasks.listing import Listing
from djtasks.admin.tasks.seen import Seen, seen
from djtasks.admin.tasks.verbs import ANSWERS, LEFT_ALONE, Verb, perform
from djtasks.broker.vendors import shared_vendor
from djtasks.domain.identifiers import as_uuid
from djtasks.models import Invocation, Task

if TYPE_CHECKING:
    from djtasks.admin.tasks.admin import TaskAdmin

MOST_AT_ONCE = 1000
MOST_SHOWN = 20
MOST_PAGES = 20
UNTIL = "until"


class Choice(NamedTuple):
    """The tasks that are meant, and whether there may be more."""

    tasks: list[Seen]
    more: bool = False


def is_chosen(request: HttpRequest) -> bool:
    """Say whether tasks were selected, or all that match are meant."""
    return ACTION_CHECKBOX_NAME in request.POST or _means_all(request)


def asked_for(request: HttpRequest) -> str:
    """Name the action whose button was pushed: the list has them above and below."""
    asked = request.POST.getlist("action")
    index = request.POST.get("index", "0")
    return asked[int(index)] if index.isdecimal() and int(index) < len(asked) else ""


def act(admin: TaskAdmin, request: HttpRequest, verb: Verb) -> HttpResponse:
    """Ask whether to do it, and once that is confirmed do it."""
    confirmed = is_confirmed(request)
    form = verb.form(request.POST if confirmed else None) if verb.form else None
    until = request.POST.get(UNTIL) or shared_vendor().now().isoformat()
    choice = _choice(admin, request, until)
    if not confirmed or (form and not form.is_valid()):
        return _question(admin, request, verb, choice, form, until)
    answers = _perform(request, verb, choice, form.cleaned_data if form else {})
    _tell(request, verb, answers, choice.more)
    if request.POST.get("from") == "task" and verb.name != "delete_ended" and len(choice.tasks) == 1:
        return HttpResponseRedirect(reverse("admin:djtasks_task_change", args=[choice.tasks[0].pk]))
    return HttpResponseRedirect(request.get_full_path())


def _choice(admin: TaskAdmin, request: HttpRequest, until: str) -> Choice:
    """Find the tasks that were selected, or all that match and were there when that was asked."""
    if not _means_all(request):
        try:
            ids = [as_uuid(text) for text in request.POST.getlist(ACTION_CHECKBOX_NAME)[:MOST_AT_ONCE]]
        except ValueError as error:
            raise BadRequest(str(error)) from error
        return Choice(list(seen(admin.listing(request, Criteria()).find(ids))))
    moment = parse_datetime(until)
    if moment is None:
        raise BadRequest(f"{UNTIL} is a moment")
    tasks, more = _matching(admin.listing(request, replace(criteria_of(request.GET), until=moment)))
    return Choice(list(seen(tasks)), more)


def _means_all(request: HttpRequest) -> bool:
    return request.POST.get("select_across") in ("1", "on", "True")


def _matching(listing: Listing) -> tuple[list[Invocation], bool]:
    tasks: list[Invocation] = []
    before: UUID | None = None
    for _page in range(MOST_PAGES):
        page = listing.page(before, size=MOST_AT_ONCE - len(tasks))
        tasks += page.tasks
        before = page.older
        if before is None or len(tasks) == MOST_AT_ONCE:
            break
    return tasks, before is not None


def _question(
    admin: TaskAdmin, request: HttpRequest, verb: Verb, choice: Choice, form: Any, until: str
) -> TemplateResponse:
    shown = choice.tasks[:MOST_SHOWN]
    if verb.replays:
        take_fingerprints(shown)
    return question(
        admin,
        request,
        title=verb.label,
        text=verb.question,
        template="admin/djtasks/task/confirmation.html",
        form=form,
        shown=shown,
        shows_fingerprints=verb.replays,
        count=len(choice.tasks),
        rest=max(0, len(choice.tasks) - MOST_SHOWN),
        more=choice.more,
        until=until,
    )


def _perform(request: HttpRequest, verb: Verb, choice: Choice, given: Mapping[str, Any]) -> Counter[str]:
    answers: dict[str, list[Seen]] = {}
    operator = request.user.get_username()
    if verb.replays:
        take_fingerprints(choice.tasks)
    notes = {task.pk: f", arguments {task.fingerprint}" for task in choice.tasks if task.fingerprint}
    for task in choice.tasks:
        answers.setdefault(perform(verb, task.pk, given, operator), []).append(task)
    with translation.override(None):
        for answer, tasks in answers.items():
            if answer not in LEFT_ALONE:
                details = ", ".join(f"{name}={value}" for name, value in given.items() if value is not None)
                what = f"{verb.label}: {ANSWERS[answer]}{f' ({details})' if details else ''}"
                record(request, Task, ((task.pk, str(task)) for task in tasks), what, notes)
    return Counter({answer: len(tasks) for answer, tasks in answers.items()})


def _tell(request: HttpRequest, verb: Verb, answers: Counter[str], more: bool) -> None:
    told = [f"{ANSWERS[answer]}: {count}" for answer, count in answers.items()]
    if not told:
        messages.warning(request, _("No such task is there any more."))
        return
    level = messages.WARNING if set(answers) <= LEFT_ALONE else messages.SUCCESS
    messages.add_message(request, level, f"{verb.label}. {'; '.join(told)}.")
    if more:
        messages.warning(request, _("There may be more that match: do it once more."))
