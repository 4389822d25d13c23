"""What stands in each queue, and what of it is in hand; of a long queue only the head is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from djtasks.beat.moments import from_row
from djtasks.broker.queues import names_of_queues
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.models import Message

# What is in hand stands at the head.
MOST_LOOKED_AT = 5_000
MOST_COUNTED = 100_000
COLUMNS = ("id", "task", "worker", "due_at", "leased_until", "started_at", "retries")


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
    oldest: timedelta | None = None
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


def standings(now: datetime) -> Iterator[Standing]:
    """Look at each queue in which messages live."""
    for name in names_of_queues():
        yield _standing(name, now)


def _standing(name: str, now: datetime) -> Standing:
    rows = Message.objects.using(settings.DATABASE).filter(queue=name).order_by("-priority", "due_at", "id")
    found = Standing(name)
    for pk, task, worker, due_at, leased_until, started_at, retries in rows.values_list(*COLUMNS)[:MOST_LOOKED_AT]:
        found.depth += 1
        label = states.label_of_message(
            due_at=due_at and from_row(due_at),
            leased_until=leased_until and from_row(leased_until),
            started_at=started_at and from_row(started_at),
            retries=retries,
            now=now,
        )
        found.counts[label] += 1
        if label == states.READY:
            found.oldest = max(found.oldest or timedelta(), now - from_row(due_at))
        elif label == states.RUNNING:
            found.running.append(Running(pk, task, worker, from_row(started_at)))
    if not found.is_complete:
        found.depth = rows[:MOST_COUNTED].count()
    return found
