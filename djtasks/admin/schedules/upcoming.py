"""What a schedule is about to do, and what it did: told before it is saved, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from djtasks.admin.schedules.words import in_words
from djtasks.beat.moments import from_row
from djtasks.beat.upcoming import upcoming
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain.schedules.zones import zone_named
from djtasks.models import Schedule, Slot
from djtasks.models.schedules import default_timezone

SHOWN_RUNS = 5
SHOWN_SLOTS = 20


class Run(NamedTuple):
    """A moment, as the clocks of two zones show it."""

    local: str
    utc: str


def preview(schedule: Schedule) -> SafeString:
    """Show the next runs, or what is wrong."""
    context: dict[str, Any] = {}
    try:
        zone = zone_named(schedule.timezone or default_timezone())
        slots = upcoming(schedule, from_row(shared_vendor().now()), SHOWN_RUNS)
        context = {"zone": zone.key, "runs": [_run(slot, zone) for slot in slots], "words": in_words(schedule)}
    except ValueError as error:
        context = {"error": str(error)}
    return render_to_string("admin/djtasks/schedule/preview.html", {**context, "schedule": schedule})


def unsaved(given: Mapping[str, str]) -> Schedule:
    """Make a schedule of what stands in the form so far."""
    names = ("kind", "expression", "timezone", "fold")
    schedule = Schedule(**{name: given[name] for name in names if given.get(name)})
    # Of one that is enabled it would count that it has not been planned.
    schedule.enabled = False
    return schedule


def history(schedule: Schedule) -> SafeString:
    """Show the latest slots, and what was made of them."""
    slots = Slot.objects.using(settings.DATABASE).filter(schedule=schedule.pk).order_by("-due_at")[:SHOWN_SLOTS]
    return render_to_string("admin/djtasks/schedule/history.html", {"slots": slots, "schedule": schedule})


def _run(slot: datetime, zone: ZoneInfo) -> Run:
    return Run(slot.astimezone(zone).isoformat(" ", "seconds"), slot.isoformat(" ", "seconds"))
