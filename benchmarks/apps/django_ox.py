"""How django-ox is called."""

from __future__ import annotations

import django

from benchmarks.calling import Sending

django.setup()

from django_ox.bulk import enqueue_many  # noqa: E402

from benchmarks.apps.django_tasks import TASKS, TasksCaller  # noqa: E402


class Calling(TasksCaller):
    """Calls as Django tells, and has a call for many."""

    @property
    def ways(self) -> dict[str, Sending]:
        return {"enqueue_many": self._enqueue_many}

    def _enqueue_many(self, task: str, count: int) -> None:
        enqueue_many(TASKS[task], [((number, number), {}) for number in range(count)])
