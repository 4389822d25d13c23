"""What stands in each queue, and what of it is in hand; of a long queue only the head is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Min

from djtasks.admin.tasks.criteria import OF_MESSAGES
from djtasks.admin.tasks.listing import Visible, everything
from djtasks.beat.moments import from_row
from djtasks.broker.queues import names_of_queues
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.models import Message

# What is in hand stands at the head.
MOST_LOOKED_AT = 5_000
MOST_COUNTED = 100_000
MOST_RUNNING = 200
LABELS = (states.READY, states.DELAYED, states.RETRYING, states.BLOCKED, states.RESERVED, states.RUNNING)


class Running(NamedTuple):
    """A task that runs, and since when."""

    id: UUID
    task: str
    worker: UUID | None
    since: datetime


@dataclass
class Standing:
    """What stands in a queue."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    # When the first of those came due that could run at once.
    oldest: datetime | None = None
    running: list[Running] = field(default_factory=list)
    # Of so many messages as there are, or as were counted.
    depth: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether all of it was looked at."""
        return self.depth < MOST_LOOKED_AT

    @property
    def is_counted(self) -> bool:
        """Whether there are no more than were counted."""
        return self.depth < MOST_COUNTED

    @property
    def waiting(self) -> int:
        """How many could run at once."""
        return self.counts[states.READY]

    @property
    def later(self) -> int:
        """How many wait for their time."""
        return self.counts[states.DELAYED] + self.counts[states.RETRYING]


def standings(visible: Visible = everything) -> Iterator[Standing]:
    """Look at each queue in which messages live, as far as these may be seen."""
    found = (_standing(name, visible) for name in names_of_queues())
    return (standing for standing in found if standing.depth)


def _standing(name: str, visible: Visible) -> Standing:
    messages = visible(Message.objects.using(settings.DATABASE)).filter(queue=name)
    rows = messages.order_by("-priority", "due_at", "id")
    counts: dict[str, Any] = {label: Count("pk", filter=OF_MESSAGES[label]) for label in LABELS}
    head = rows[:MOST_LOOKED_AT].aggregate(
        **counts, depth=Count("pk"), oldest=Min("due_at", filter=OF_MESSAGES[states.READY])
    )
    depth, oldest = head.pop("depth"), head.pop("oldest")
    if depth == MOST_LOOKED_AT:
        depth = rows.order_by().values("queue")[:MOST_COUNTED].count()
    # No more than there are at the head, or the search for more would go on to the end of the queue.
    running = rows.filter(OF_MESSAGES[states.RUNNING]).values_list("id", "task", "worker", "started_at")
    return Standing(
        name,
        Counter(head),
        oldest and from_row(oldest),
        [
            Running(pk, task, worker, from_row(since))
            for pk, task, worker, since in running[: min(head[states.RUNNING], MOST_RUNNING)]
            if since
        ],
        depth,
    )
