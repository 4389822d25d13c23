"""A Django project with django-q2, which keeps all results and does not replace its processes while one is measured."""

from __future__ import annotations

from benchmarks.settings import *  # noqa: F403
from benchmarks.settings import env

INSTALLED_APPS = ["django.contrib.sessions", "django_q"]
Q_CLUSTER = {
    "name": "benchmarks",
    "orm": "default",
    "workers": env.int("PROCESSES", 2),
    "bulk": 50,
    "queue_limit": 100,
    "timeout": 60,
    "retry": 120,
    "recycle": 1_000_000,
    "save_limit": 0,
    "scheduler": False,
    "log_level": "WARNING",
}
