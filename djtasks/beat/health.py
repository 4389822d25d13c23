"""Whether schedules are looked after: who beats, what is late, what is broken; read from the tables alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from djtasks.beat.moments import from_row
from djtasks.broker.vendors import Vendor
from djtasks.models import Schedule
from djtasks.models.clock import Now

VANISHED = timedelta(seconds=30)
LATE = timedelta(seconds=15)
MOST_NAMED = 20


class Broken(NamedTuple):
    """A schedule whose latest slot failed, or that nobody could read."""

    name: str
    error: str


class Health(NamedTuple):
    """The state of all beats and schedules at a moment of the database's clock."""

    now: datetime
    # Each with the moment at which it was ``last_seen``.
    beats: list[Any]
    enabled: int
    late: int
    # The first slot of those that nobody has made.
    latest_since: datetime | None
    broken: list[Broken]

    @property
    def living(self) -> list[Any]:
        """The beats that have given a sign of life lately."""
        return [beat for beat in self.beats if self.is_alive(beat)]

    def is_alive(self, beat: Any) -> bool:
        """Say whether a beat has given a sign of life lately."""
        return self.now - from_row(beat.last_seen) <= VANISHED

    @property
    def problem(self) -> str:
        """What keeps messages from being sent, in a sentence, or nothing."""
        if self.enabled and not self.living:
            return f"no beat is alive, and {_counted(self.enabled)} enabled: run manage.py runbeat, or runworker -B"
        if self.late:
            seconds = (self.now - self.latest_since).total_seconds() if self.latest_since else 0
            return f"{_counted(self.late)} late, by up to {seconds:.0f} s"
        return ""


def health(vendor: Vendor) -> Health:
    """Look at all of it, at the cost of a few probes."""
    with vendor.bound():
        enabled = Schedule.objects.using(vendor.alias).filter(enabled=True)
        late = enabled.filter(next_run_at__lt=Now() - LATE).order_by("next_run_at")
        first = late.values_list("next_run_at", flat=True).first()
        broken = Schedule.objects.using(vendor.alias).exclude(error="").order_by("name").values_list("name", "error")
        return Health(
            now=from_row(vendor.now()),
            beats=list(vendor.beats().order_by("name", "pk")),
            enabled=enabled.count(),
            late=late.count(),
            latest_since=first and from_row(first),
            broken=[Broken(*row) for row in broken[:MOST_NAMED]],
        )


def _counted(schedules: int) -> str:
    return "1 schedule is" if schedules == 1 else f"{schedules} schedules are"
