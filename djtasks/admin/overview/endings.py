"""How it went lately: what has ended within the hour, or the latest of it where that is very much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from django.db.models import QuerySet

from djtasks.admin.tasks.listing import Visible, everything
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.models import Result

HOUR = timedelta(hours=1)
MOST_READ = 5_000
BARS = 60
COLUMNS = ("queue", "state", "due_at", "started_at", "finished_at")


class Ending(NamedTuple):
    """How a task ended, when, and how long it had waited and run."""

    failed: bool
    at: datetime
    waited: timedelta | None
    ran: timedelta | None


class Bar(NamedTuple):
    """How many ended in a part of the time, and how many of those failed."""

    ended: int
    failed: int


class Course(NamedTuple):
    """How it went in a span of time."""

    span: timedelta
    ended: int
    failed: int
    waited: tuple[timedelta, timedelta] | None
    ran: tuple[timedelta, timedelta] | None
    bars: list[Bar]

    @property
    def part(self) -> timedelta:
        """The span of a bar."""
        return self.span / BARS

    @property
    def highest(self) -> int:
        """How many the highest bar tells of."""
        return max((bar.ended for bar in self.bars), default=0)

    @property
    def per_minute(self) -> float:
        """How many ended in a minute."""
        return self.ended / max(1.0, self.span.total_seconds() / 60)

    @property
    def failure_rate(self) -> float:
        """Which part of them failed, in percent."""
        return 100 * self.failed / self.ended if self.ended else 0.0


def courses(now: datetime, visible: Visible = everything) -> tuple[Course, dict[str, Course]]:
    """Return how it went in all queues together, and in each; ``now`` is a moment as the table has them."""
    by_queue: dict[str, list[Ending]] = defaultdict(list)
    read = 0
    for queue, state, due_at, started_at, finished_at in _latest(now, visible):
        read += 1
        waited = max(timedelta(), started_at - due_at) if started_at and due_at else None
        ran = finished_at - started_at if started_at else None
        by_queue[queue].append(Ending(state == states.FAILURE, finished_at, waited, ran))
    everything = [ending for endings in by_queue.values() for ending in endings]
    # Where not all of the hour was read, it is the time since the first that was.
    since = min((ending.at for ending in everything), default=now - HOUR) if read == MOST_READ else now - HOUR
    span = max(now - since, timedelta(seconds=1))
    return _course(everything, since, span), {
        queue: _course(endings, since, span) for queue, endings in by_queue.items()
    }


def _latest(now: datetime, visible: Visible) -> QuerySet[Result, Any]:
    """Read the latest that ended, in the order in which they expire, which is that in which they ended."""
    results = visible(Result.objects.using(settings.DATABASE)).filter(finished_at__gte=now - HOUR)
    retention = settings.result_expires_seconds
    if retention is None:
        # Nothing knows their order but their ids: those that were sent last.
        return results.order_by("-pk").values_list(*COLUMNS)[:MOST_READ]
    bound = now - HOUR + timedelta(seconds=retention)
    return results.filter(expires_at__gte=bound).order_by("-expires_at").values_list(*COLUMNS)[:MOST_READ]


def _course(endings: Sequence[Ending], since: datetime, span: timedelta) -> Course:
    bars = [[0, 0] for _ in range(BARS)]
    for ending in endings:
        place = min(BARS - 1, max(0, int(BARS * ((ending.at - since) / span))))
        bars[place][0] += 1
        bars[place][1] += ending.failed
    return Course(
        span=span,
        ended=len(endings),
        failed=sum(ending.failed for ending in endings),
        waited=_percentiles([ending.waited for ending in endings if ending.waited is not None]),
        ran=_percentiles([ending.ran for ending in endings if ending.ran is not None]),
        bars=[Bar(*bar) for bar in bars],
    )


def _percentiles(durations: list[timedelta]) -> tuple[timedelta, timedelta] | None:
    """Return what half of them, and 95 of 100, do not exceed."""
    if not durations:
        return None
    durations.sort()
    half, most = (durations[ceil(part * len(durations) / 100) - 1] for part in (50, 95))
    return half, most
