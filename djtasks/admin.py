"""The rows in the admin: what is shown is what workers and beats live by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from djtasks.domain import payloads, states
from djtasks.exceptions import DecodeError
from djtasks.models import Beat, Invocation, Message, PayloadField, Result, Schedule, Slot, Worker
from djtasks.models.schedules import PROGRESS_FIELDS
from djtasks.tasks.masking import shown_arguments, shown_value

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the queue's own verbs may change."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class InvocationAdmin(ReadOnlyAdmin):
    """What messages and results have in common: arguments are shown as their task allows (S10)."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        shown: dict[Any, str] = {"args": "shown_args", "kwargs": "shown_kwargs", "value": "shown_value"}
        return [shown.get(name, name) for name in super().get_fields(request, obj) if name not in shown.values()]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "shown_args", "shown_kwargs"]

    @admin.display(description=_("arguments"))
    def shown_args(self, invocation: Invocation) -> str:
        """Show the positional arguments."""
        return _as_text(_arguments_of(invocation)[0])

    @admin.display(description=_("keyword arguments"))
    def shown_kwargs(self, invocation: Invocation) -> str:
        """Show the keyword arguments."""
        return _as_text(_arguments_of(invocation)[1])


def _arguments_of(invocation: Invocation) -> tuple[Any, Any]:
    return shown_arguments(invocation.task, invocation.args, invocation.kwargs, invocation.options)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


@admin.register(Message)
class MessageAdmin(InvocationAdmin):
    """What waits and what runs."""

    list_display = ("id", "task", "queue", "priority", "now", "retries", "deliveries", "enqueued_at", "due_at")
    list_filter = ("queue",)
    search_fields = ("task",)
    ordering = ("-id",)

    @admin.display(description=_("state"))
    def now(self, message: Message) -> str:
        """Say what the facts of the row mean at this moment."""
        return states.label_of_message(
            due_at=message.due_at,
            leased_until=message.leased_until,
            started_at=message.started_at,
            retries=message.retries,
            now=timezone.now(),
        )


@admin.register(Result)
class ResultAdmin(InvocationAdmin):
    """What has ended."""

    list_display = ("id", "task", "queue", "state", "retries", "deliveries", "finished_at", "hostname")
    list_filter = ("state", "queue")
    search_fields = ("task",)
    ordering = ("-id",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "shown_value"]

    @admin.display(description=_("value"))
    def shown_value(self, result: Result) -> str:
        """Show what the body returned."""
        return repr(shown_value(result.task, result.value, result.options))


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Who works."""

    list_display = ("name", "host", "pid", "pool", "slots", "started_at", "seen_at")
    ordering = ("name",)


@admin.register(Beat)
class BeatAdmin(ReadOnlyAdmin):
    """Who sends what is due."""

    list_display = ("name", "host", "pid", "started_at", "seen_at")
    ordering = ("name",)


class PayloadFormField(forms.CharField):
    """A value as JSON text, which people may edit."""

    def prepare_value(self, value: Any) -> Any:
        """Show the value as JSON; what was typed, as it was typed."""
        return value if isinstance(value, str) or value is None else payloads.encode(value, where="value")

    def to_python(self, value: Any) -> Any:
        """Read what was typed."""
        try:
            return payloads.decode(value) if value else self.empty_value
        except DecodeError as error:
            raise ValidationError(str(error)) from error


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):
    """When which messages are made; of what code declares, people say whether it is enabled."""

    list_display = ("name", "task", "kind", "expression", "enabled", "next_run_at", "last_run_at", "runs", "error")
    list_filter = ("enabled", "kind", "source")
    search_fields = ("name", "task")
    ordering = ("name",)
    _shown = ("next_run_at", "last_run_at", "runs", "error", "failed_at")
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "description", "enabled", "source")}),
        (
            _("what is sent"),
            {"fields": ("task", "args", "kwargs", "queue", "priority", "headers", "lifetime", "options")},
        ),
        (_("when"), {"fields": ("kind", "expression", "timezone", "fold", "start_at", "end_at", "one_off")}),
        (_("how"), {"fields": ("missed", "missed_limit", "grace", "overlap", "jitter")}),
        (_("so far"), {"fields": _shown}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Show values as JSON; what is left empty is the default."""
        if isinstance(db_field, PayloadField):
            kwargs |= {"form_class": PayloadFormField, "empty_value": db_field.get_default()}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = [*self._shown, "source"]
        if obj is None or not obj.source:
            return shown
        ours = [field.name for field in Schedule._meta.fields if field.name not in PROGRESS_FIELDS]
        return [*shown, *(name for name in ours if name not in ("id", "enabled", "source"))]


@admin.register(Slot)
class SlotAdmin(ReadOnlyAdmin):
    """What was due, and which messages were made of it."""

    list_display = ("schedule", "due_at", "made_at", "message", "passed_over")
    list_filter = ("passed_over",)
    list_select_related = ("schedule",)
    ordering = ("-id",)
