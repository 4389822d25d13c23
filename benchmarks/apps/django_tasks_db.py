"""How django-tasks-db is called: as Django tells, and in no way of its own."""

from __future__ import annotations

import django

django.setup()

from benchmarks.apps.django_tasks import TasksCaller as Calling  # noqa: E402

__all__ = ["Calling"]
