"""What Django's system checks say of an entry of ``TASKS`` that is ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning

from djtasks.backend import options
from djtasks.domain.identifiers import check_queue_name
from djtasks.exceptions import ImproperlyConfigured, QueueNotFound
from djtasks.tasks import routing

# What other backends have, and why there is nothing to be said here.
_NOT_NEEDED = {"id_function": "ids are UUIDs in the order of time, and made here"}


def check(alias: str, queues: Collection[str], said: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """Report what is wrong with the settings of one backend."""
    where = f"TASKS[{alias!r}]"
    if not apps.is_installed("djtasks"):
        yield Error(
            f"{where} has the backend of djtasks, which is not installed.",
            hint="Add 'djtasks' to INSTALLED_APPS, and run manage.py migrate.",
            id="djtasks.E014",
        )
        return
    yield from _check_options(where, said)
    for queue in sorted(queues):
        try:
            routing.check_known(check_queue_name(queue))
        except (QueueNotFound, ValueError) as error:
            yield Error(f"{where} has the queue {queue!r}: {error}.", hint="Rename or add it.", id="djtasks.E013")


def _check_options(where: str, said: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name in said:
        if name in _NOT_NEEDED:
            text = f"{where} has an option {name!r} without meaning: {_NOT_NEEDED[name]}."
            yield Warning(text, hint="Remove it.", id="djtasks.W014")
            continue
        try:
            options.check([name], f"{where}['OPTIONS']")
        except ImproperlyConfigured as error:
            yield Error(f"{error}.", hint="It takes the options of @shared_task.", id="djtasks.E015")
