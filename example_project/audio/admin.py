"""Recordings in the admin, with their pictures; to upload one is to have it processed. Albums, with their reports."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from audio.models import Album, Recording
from audio.tasks import process, publish


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):
    list_display = ["title", "created_at", "report", "reported_at"]
    readonly_fields = ["report", "reported_at"]
    actions = ["process_all"]

    @admin.action(description="Process all recordings, then report")
    def process_all(self, request: HttpRequest, albums: QuerySet[Album]) -> None:
        for album in albums:
            publish(album)


@admin.register(Recording)
class RecordingAdmin(admin.ModelAdmin):
    list_display = ["source", "album", "waveform", "peak_before", "peak_after", "processed_at"]
    list_filter = [("processed_at", admin.EmptyFieldListFilter)]
    readonly_fields = ["waveform", "peak_before", "peak_after", "processed_at"]

    def save_model(self, request: HttpRequest, obj: Recording, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "source" in form.changed_data:
            process.delay(obj.pk)

    @admin.display(description="waveform")
    def waveform(self, recording: Recording) -> str:
        if not recording.picture:
            return "-"
        return format_html('<img src="{}" alt="" width="240">', recording.picture.url)
