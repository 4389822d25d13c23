"""The page of the overview, and the part of it that is fetched again and again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from djtasks.admin.audit import record
from djtasks.admin.confirming import is_confirmed, question
from djtasks.admin.overview.looking import look, shows_queue
from djtasks.broker.pause import pause, resume
from djtasks.models import Queue

if TYPE_CHECKING:
    from djtasks.admin.tasks.admin import TaskAdmin

SECONDS = 5
QUESTIONS: Mapping[str, Any] = {
    "pause": _("Let workers receive nothing more from this queue? What they hold already, they run."),
    "resume": _("Let workers receive from this queue again?"),
}
LABELS: Mapping[str, Any] = {"pause": _("Pause"), "resume": _("Resume")}


def overview(admin: TaskAdmin, request: HttpRequest) -> HttpResponse:
    """Show the state of everything."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    if request.method == "POST":
        return _switch(admin, request)
    state = {
        **look(partial(admin.visible, request)),
        "may_pause": _may_pause(request),
        "may_see_schedules": request.user.has_perm("djtasks.view_schedule"),
    }
    if "fragment" in request.GET:
        return TemplateResponse(request, "admin/djtasks/overview/state.html", state)
    context = {
        **admin.admin_site.each_context(request),
        **state,
        "title": _("Overview"),
        "opts": admin.opts,
        "media": admin.media + Media(js=["djtasks/refresh.js"]),
        "seconds": SECONDS,
    }
    return TemplateResponse(request, "admin/djtasks/overview/page.html", context)


def _may_pause(request: HttpRequest) -> bool:
    return request.user.has_perm("djtasks.pause_queue")


def _switch(admin: TaskAdmin, request: HttpRequest) -> HttpResponse:
    """Ask whether a queue is to be paused or resumed, and once that is confirmed do it."""
    action, name = request.POST.get("action", ""), request.POST.get("name", "")
    if action not in QUESTIONS:
        raise BadRequest(f"there is no action {action!r:.80}")
    # A queue that is not shown is not named either: not by the answer, and not in the log.
    if not _may_pause(request) or not shows_queue(partial(admin.visible, request), name):
        raise PermissionDenied
    if not is_confirmed(request):
        hidden = [("action", action), ("name", name)]
        return question(admin, request, title=LABELS[action], text=QUESTIONS[action], names=[name], hidden=hidden)
    try:
        changed = (pause if action == "pause" else resume)(name)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if changed:
        with translation.override(None):
            record(request, Queue, [(name, name)], str(LABELS[action]))
        messages.success(request, f"{LABELS[action]}: {name}.")
    else:
        messages.warning(request, _("Queue %s was so already.") % name)
    return HttpResponseRedirect(reverse("admin:djtasks_overview"))
