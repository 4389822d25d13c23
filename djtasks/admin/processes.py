"""Who works and who beats."""

from __future__ import annotations

from django.contrib import admin

from djtasks.admin.readonly import ReadOnlyAdmin
from djtasks.models import Beat, Worker


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
