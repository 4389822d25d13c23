"""Sign-ups in the admin."""

from django.contrib import admin

from mail.models import Digest, SignUp


@admin.register(SignUp)
class SignUpAdmin(admin.ModelAdmin):
    list_display = ["email", "name", "created_at", "sent_at", "confirmed_at"]
    list_filter = [("sent_at", admin.EmptyFieldListFilter), ("confirmed_at", admin.EmptyFieldListFilter)]
    search_fields = ["email", "name"]
    readonly_fields = ["created_at", "sent_at", "confirmed_at"]


@admin.register(Digest)
class DigestAdmin(admin.ModelAdmin):
    list_display = ["slot", "sent_at"]
    readonly_fields = ["sent_at"]
