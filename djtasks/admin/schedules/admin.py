"""Schedules in Django's admin, and the slots for which they sent something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from djtasks.admin.readonly import QueueAdmin, ReadOnlyAdmin
from djtasks.admin.schedules.form import ARGUMENTS, PayloadFormField, ScheduleForm
from djtasks.admin.schedules.upcoming import history, preview, unsaved
from djtasks.admin.schedules.verbs import VERBS, Verb, act
from djtasks.admin.texts import as_text
from djtasks.models import PayloadField, Schedule, Slot
from djtasks.models.schedules import PROGRESS_FIELDS
from djtasks.tasks.masking import MASK, shown_arguments

# What stands in the place of arguments that are not edited.
SHOWN = {name: f"shown_{name}" for name in ARGUMENTS}


def _action(verb: Verb) -> Callable[..., HttpResponse | None]:
    def action(schedules: ScheduleAdmin, request: HttpRequest, queryset: QuerySet[Schedule]) -> HttpResponse | None:
        return act(schedules, request, verb, queryset.order_by("name"))

    action.__name__ = verb.name
    return admin.action(permissions=[verb.permission], description=verb.label)(action)


@admin.register(Schedule)
class ScheduleAdmin(QueueAdmin):
    """When which messages are made; of what code declares, people say whether it is enabled."""

    form = ScheduleForm
    change_form_template = "admin/djtasks/change_form.html"
    list_display = ("name", "task", "kind", "expression", "enabled", "next_run_at", "last_run_at", "runs", "error")
    list_filter = ("enabled", "kind", "source")
    search_fields = ("name", "task")
    ordering = ("name",)
    actions = tuple(_action(verb) for verb in VERBS.values())
    _told = ("preview", "next_run_at", "last_run_at", "runs", "error", "failed_at", "history")
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "description", "enabled", "source")}),
        (
            _("what is sent"),
            {"fields": ("task", "args", "kwargs", "queue", "priority", "headers", "lifetime", "options")},
        ),
        (_("when"), {"fields": ("kind", "expression", "timezone", "fold", "start_at", "end_at", "one_off", "preview")}),
        (_("how"), {"fields": ("missed", "missed_limit", "grace", "overlap", "jitter")}),
        (_("so far"), {"fields": ("next_run_at", "last_run_at", "runs", "error", "failed_at", "history")}),
    )

    class Media:
        js = ("djtasks/preview.js",)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="djtasks_schedule_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Tell the next runs of a rule that stands in the form."""
        if not self.has_view_or_change_permission(request) and not self.has_add_permission(request):
            raise PermissionDenied
        return HttpResponse(preview(unsaved(request.GET)))

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Say who may send what a schedule sends."""
        return request.user.has_perm("djtasks.run_schedule")

    # The form

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Remember with the row who looks at it."""
        schedule: Any = super().get_object(request, object_id, from_field)
        if schedule is not None:
            schedule.shows_arguments = request.user.has_perm("djtasks.view_payload")
        return schedule

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Show values as JSON; what is left empty is the default."""
        if isinstance(db_field, PayloadField):
            kwargs |= {"form_class": PayloadFormField, "empty_value": db_field.get_default()}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Hide arguments from who may not see any."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"hides_arguments": not request.user.has_perm("djtasks.view_payload")})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what may not be edited as it may be shown."""
        fieldsets = super().get_fieldsets(request, obj)
        if not self._is_declared(obj) and (obj is None or self.has_change_permission(request, obj)):
            return fieldsets
        return [
            (title, {**options, "fields": [SHOWN.get(str(name), name) for name in options["fields"]]})
            for title, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = [*self._told, "source", *SHOWN.values()]
        if not self._is_declared(obj):
            return shown
        ours = [field.name for field in Schedule._meta.fields if field.name not in PROGRESS_FIELDS]
        return [*shown, *(name for name in ours if name not in ("id", "enabled", "source", *ARGUMENTS))]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """Offer what may be done beside the form."""
        allowed = self.get_actions(request)
        verbs = [(name, verb.label) for name, verb in VERBS.items() if name in allowed]
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "verbs": verbs})

    @admin.display(description=_("next runs"))
    def preview(self, schedule: Schedule) -> str:
        """Tell the next runs."""
        return preview(schedule if schedule.pk else unsaved({}))

    @admin.display(description=_("latest slots"))
    def history(self, schedule: Schedule) -> str:
        """Tell what was made."""
        return history(schedule) if schedule.pk else ""

    @admin.display(description=_("arguments"))
    def shown_args(self, schedule: Schedule) -> str:
        """Show the positional arguments."""
        return _shown(schedule, 0)

    @admin.display(description=_("keyword arguments"))
    def shown_kwargs(self, schedule: Schedule) -> str:
        """Show the keyword arguments."""
        return _shown(schedule, 1)

    def _is_declared(self, schedule: Any) -> bool:
        return schedule is not None and bool(schedule.source)


def _shown(schedule: Schedule, which: int) -> str:
    """Write arguments as they may be shown (S10), to who may see any."""
    if not getattr(schedule, "shows_arguments", False):
        return MASK
    return as_text(shown_arguments(schedule.task, schedule.args, schedule.kwargs, schedule.options)[which])


@admin.register(Slot)
class SlotAdmin(ReadOnlyAdmin):
    """What was due, and which messages were made of it."""

    list_display = ("schedule", "due_at", "made_at", "task", "passed_over")
    list_filter = ("passed_over",)
    list_select_related = ("schedule",)
    ordering = ("-id",)
    fields = ("schedule", "due_at", "made_at", "task", "passed_over")
    readonly_fields = ("task",)

    @admin.display(description=_("task"))
    def task(self, slot: Slot) -> str:
        """Link the task that was made."""
        if slot.message is None:
            return ""
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:djtasks_task_change", args=[slot.message]), slot.message
        )
