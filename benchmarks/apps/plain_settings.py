"""A Django project whose queue is elsewhere."""

from __future__ import annotations

from benchmarks.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.sessions"]
