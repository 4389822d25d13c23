"""Schedules in the admin, and the slots for which they sent something."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from djtasks.admin.readonly import QueueAdmin, ReadOnlyAdmin
from djtasks.domain import payloads
from djtasks.exceptions import DecodeError
from djtasks.models import PayloadField, Schedule, Slot
from djtasks.models.schedules import PROGRESS_FIELDS


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
class ScheduleAdmin(QueueAdmin):
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
