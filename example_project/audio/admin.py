"""Recordings in the admin, with their pictures; to upload one is to have it processed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from audio.models import Recording
from audio.tasks import process


@admin.register(Recording)
class RecordingAdmin(admin.ModelAdmin):
    list_display = ["source", "waveform", "peak_before", "peak_after", "processed_at"]
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
