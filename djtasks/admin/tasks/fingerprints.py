"""A fingerprint of what a task was given: whether that is still the same can be told without seeing it (S9)."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.crypto import salted_hmac

from djtasks.admin.tasks.listing import TABLES
from djtasks.admin.tasks.seen import Seen
from djtasks.conf import settings
from djtasks.domain import payloads

LENGTH = 12
# The id is in it, too: whoever guesses arguments cannot try them with a task of his own (S10).
COLUMNS = ("pk", "task", "args", "kwargs")


def take_fingerprints(tasks: Collection[Seen]) -> None:
    """Take the fingerprints of these tasks; arguments may be large, and are read one after the other."""
    known = {task.pk: task for task in tasks}
    for table in TABLES:
        rows = table.objects.using(settings.DATABASE).filter(pk__in=known).values_list(*COLUMNS)
        for pk, *given in rows.iterator():
            text = "\n".join([str(pk), *(payloads.encode(each, where="arguments") for each in given)])
            known[pk].fingerprint = salted_hmac(__name__, text, algorithm="sha256").hexdigest()[:LENGTH]
