"""Tasks in Django's admin: the list, the page of each, and the actions on both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from djtasks.admin.overview.view import overview
from djtasks.admin.readonly import ReadOnlyAdmin
from djtasks.admin.tasks.acting import act, asked_for, is_chosen
from djtasks.admin.tasks.changelist import TaskList
from djtasks.admin.tasks.columns import TaskColumns
from djtasks.admin.tasks.criteria import Criteria
from djtasks.admin.tasks.detail import detail
from djtasks.admin.tasks.filters import FILTERS
from djtasks.admin.tasks.listing import PAGE, Listing
from djtasks.admin.tasks.seen import Seen, seen
from djtasks.admin.tasks.sending import send_view
from djtasks.admin.tasks.verbs import VERBS, Verb
from djtasks.domain.identifiers import as_uuid
from djtasks.models import Task


class ChosenForm(ActionForm):
    """Which action, and whether on all that match."""

    select_across = forms.BooleanField(label=_("all that match"), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # The button of django-unfold appears once this is told.
        self.fields["action"].widget.attrs["x-model"] = "action"


def _action(verb: Verb) -> Callable[..., HttpResponse]:
    def action(tasks: TaskAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        return act(tasks, request, verb)

    action.__name__ = verb.name
    return admin.action(permissions=[verb.permission], description=verb.label)(action)


@admin.register(Task)
class TaskAdmin(TaskColumns, ReadOnlyAdmin):
    """What waits, what runs and what has ended.

    Subclass it to let people see only some of the tasks: every page and every action asks ``visible``.
    """

    list_display = (
        *("shown_state", "shown_task", "shown_queue", "shown_priority"),
        *("attempts", "waited", "ran", "shown_worker", "sent"),
    )
    list_display_links = ("shown_task",)
    list_filter = FILTERS
    search_fields = ("id", "task")
    search_help_text = _("An id or its beginning, a part of a name, or argument:value.")
    sortable_by = ()
    list_per_page = PAGE
    action_form = ChosenForm
    actions = tuple(_action(verb) for verb in VERBS.values())
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "admin/djtasks/task/change_list.html"

    def get_urls(self) -> list[Any]:
        views = {"overview": overview, "send": send_view}
        return [
            *(
                path(f"{name}/", self.admin_site.admin_view(partial(view, self)), name=f"djtasks_{name}")
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    # What may be seen and done

    def visible(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow messages or results to those that this user may see and act on."""
        return rows

    def listing(self, request: HttpRequest, criteria: Criteria) -> Listing:
        """Return the tasks that fit, as far as this user may see them; who may not see arguments cannot search them."""
        if criteria.search.arguments and not self.has_payload_permission(request):
            criteria = replace(criteria, search=criteria.search.without_arguments())
        return Listing(criteria, partial(self.visible, request))

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Say who may run tasks now, or again."""
        return request.user.has_perm("djtasks.retry_task")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Say who may revoke and terminate."""
        return request.user.has_perm("djtasks.revoke_task")

    def has_move_permission(self, request: HttpRequest) -> bool:
        """Say who may change queue and priority."""
        return request.user.has_perm("djtasks.change_task")

    def has_delete_ended_permission(self, request: HttpRequest) -> bool:
        """Say who may delete the records of what has ended."""
        return request.user.has_perm("djtasks.delete_task")

    def has_enqueue_permission(self, request: HttpRequest) -> bool:
        """Say who may send tasks."""
        return request.user.has_perm("djtasks.enqueue_task")

    def has_payload_permission(self, request: HttpRequest) -> bool:
        """Say who may see arguments, results and what errors say."""
        return request.user.has_perm("djtasks.view_payload")

    def verbs_for(self, request: HttpRequest, task: Seen) -> list[Verb]:
        """Name what this user may do with this task as it is."""
        allowed = self.get_actions(request)
        return [verb for name, verb in VERBS.items() if name in allowed and verb.applies(task)]

    # The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TaskList]:
        return TaskList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list; or do to tasks what was asked, also where all that match are meant and none was selected."""
        if request.method == "POST" and is_chosen(request):
            if not self.has_view_permission(request):
                raise PermissionDenied
            if (name := asked_for(request)) in self.get_actions(request):
                return act(self, request, VERBS[name])
        return super().changelist_view(
            request,
            {
                "title": gettext("Tasks"),
                "may_send": self.has_enqueue_permission(request),
                **(extra_context or {}),
            },
        )

    # One task

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one task; nothing is changed here."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        task = self.find(request, object_id)
        if task is None:
            messages.warning(request, gettext("There is no such task: it never was, has expired, or was deleted."))
            return HttpResponseRedirect(reverse("admin:djtasks_task_changelist"))
        context = {
            **self.admin_site.each_context(request),
            **detail(self, request, task),
            "opts": self.opts,
            "media": self.media,
            "title": task.name,
            "verbs": self.verbs_for(request, task),
            "may_send": self.has_enqueue_permission(request) and self.has_payload_permission(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/djtasks/task/detail.html", context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Find a task for Django's own pages, such as that of its history: an ended one, too."""
        task = self.find(request, object_id)
        return task and Task(pk=task.pk, task=task.row.task)

    def find(self, request: HttpRequest, object_id: str) -> Seen | None:
        """Find a task, if it is there and may be seen."""
        try:
            found = self.listing(request, Criteria()).find([as_uuid(unquote(object_id))])
        except ValueError:
            return None
        return next(seen(found), None)
