"""Which queues there are."""

from __future__ import annotations

from collections.abc import Iterator

from djtasks.conf import settings
from djtasks.models import Message

MOST_QUEUES = 200


def names_of_queues(most: int = MOST_QUEUES) -> Iterator[str]:
    """Yield the queues in which messages live: one probe of the index for each."""
    messages = Message.objects.using(settings.DATABASE).order_by("queue").values_list("queue", flat=True)
    name: str | None = ""
    for _ in range(most):
        if (name := messages.filter(queue__gt=name).first()) is None:
            return
        yield name
