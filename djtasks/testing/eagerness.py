"""Tasks that run in the caller, for as long as a test wants them to."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.test import override_settings


class eager(override_settings):
    """Run every task where it is called, through the same JSON; a block, or a decorator of a test or its class.

    What a task raises is raised in the caller, unless ``propagate`` is off.
    """

    def __init__(self, *, propagate: bool = True) -> None:
        self._propagate = propagate
        super().__init__(**self._changed())

    def enable(self) -> None:
        # What others have overridden meanwhile stays overridden.
        self.options = self._changed()
        super().enable()

    def _changed(self) -> dict[str, Any]:
        usual = getattr(django_settings, "DJTASKS", {})
        return {"DJTASKS": {**usual, "TASK_ALWAYS_EAGER": True, "TASK_EAGER_PROPAGATES": self._propagate}}
