"""A Django project with procrastinate."""

from __future__ import annotations

from benchmarks.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.sessions", "procrastinate.contrib.django"]
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = ""
PROCRASTINATE_IMPORT_PATHS = ["benchmarks.apps.procrastinate_tasks"]
