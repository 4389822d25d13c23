"""A Django project with django-ox."""

from __future__ import annotations

import django

from benchmarks.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.sessions", "django_ox"]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")
TASKS = {"default": {"BACKEND": "django_ox.backend.OxBackend"}}
