"""Which tasks people may choose in the admin, for a schedule or to send them: those that are ``schedulable`` (S8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_lazy as _

from djtasks.tasks import registry

UNKNOWN = _("No task has this name.")
REFUSED = _("This task cannot be chosen here: only code may send it (schedulable=False).")


def names_to_choose() -> Iterator[str]:
    """Yield the names of the tasks that may be chosen."""
    return (name for name in registry.names() if registry.get(name).schedulable)


def complaint_about(name: str) -> Any:
    """Say why a task may not be chosen, or nothing; those of djtasks' own never may."""
    task = registry.find(name)
    if task is None:
        return UNKNOWN
    return "" if task.name in names_to_choose() else REFUSED
