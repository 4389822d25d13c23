"""Rows that people look at, and that only the queue's own verbs change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from djtasks.conf import settings

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class QueueAdmin(ModelAdmin):
    """Rows of the queue's own database, which are never counted as a whole."""

    show_full_result_count = False

    class Media:
        css = {"all": ("djtasks/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).using(settings.DATABASE)


class ReadOnlyAdmin(QueueAdmin):
    """Rows that only the queue's own verbs may change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
