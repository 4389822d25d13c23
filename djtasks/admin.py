"""The rows in the admin, to be read: what is shown is what the workers live by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from djtasks.domain import states
from djtasks.models import Message, Result, Worker

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


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
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
class ResultAdmin(ReadOnlyAdmin):
    """What has ended."""

    list_display = ("id", "task", "queue", "state", "retries", "deliveries", "finished_at", "hostname")
    list_filter = ("state", "queue")
    search_fields = ("task",)
    ordering = ("-id",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Who works."""

    list_display = ("name", "host", "pid", "pool", "slots", "started_at", "seen_at")
    ordering = ("name",)
