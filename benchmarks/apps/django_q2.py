"""How django-q2 is called."""

from __future__ import annotations

from typing import Any

import django

from benchmarks.calling import PATIENCE, Caller

django.setup()

from django_q.tasks import async_task, result  # noqa: E402

UNKEPT = "_unkept"


class Calling(Caller):
    """Calls as a project would; tasks are functions, and options go with the call."""

    interval = 0.2

    def send(self, task: str, *args: Any) -> Any:
        options = {"save": False} if task.endswith(UNKEPT) else {}
        return async_task(f"benchmarks.bodies.{task.removesuffix(UNKEPT)}", *args, **options)

    def fetch(self, handle: Any) -> Any:
        return result(handle, wait=1000 * PATIENCE)
