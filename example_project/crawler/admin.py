"""Crawls in the admin; to add a site is to have it crawled."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from crawler.models import Link, Page, Site
from crawler.tasks import start


@admin.register(Site)
class SiteAdmin(admin.ModelAdmin):
    list_display = ["root", "slot", "created_at", "started_at", "ended_at", "report"]
    readonly_fields = ["robots", "slot", "started_at", "ended_at", "report", "failure"]

    def save_model(self, request: HttpRequest, obj: Site, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            start.delay(obj.pk)


@admin.register(Page)
class PageAdmin(admin.ModelAdmin):
    list_display = ["url", "status", "title", "depth", "allowed", "delivery", "fetched_at"]
    list_filter = ["status", "allowed", "depth", "site"]
    search_fields = ["url", "title"]
    readonly_fields = ["taken_by", "delivery", "fetched_at", "status", "title", "body_hash"]
    raw_id_fields = ["site"]


@admin.register(Link)
class LinkAdmin(admin.ModelAdmin):
    list_display = ["source", "target"]
    list_select_related = ["source", "target"]
    raw_id_fields = ["source", "target"]
