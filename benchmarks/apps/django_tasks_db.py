"""How django-tasks-db is called."""

from __future__ import annotations

import django

django.setup()

from benchmarks.apps.django_tasks import TasksCaller  # noqa: E402

CALLER = TasksCaller()
