"""A Django project with django-tasks-db."""

from __future__ import annotations

import django

from benchmarks.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.sessions", "django_tasks_db"]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
