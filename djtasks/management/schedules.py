"""What ``djtasks schedule`` shows of schedules, and what it does with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from django.db.models import QuerySet

from djtasks.beat.announcing import announce
from djtasks.beat.making import send_now
from djtasks.beat.moments import from_row
from djtasks.beat.upcoming import upcoming
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain.schedules.zones import zone_named
from djtasks.exceptions import ScheduleNotFound
from djtasks.management.report import Report, table
from djtasks.models import Schedule
from djtasks.models.schedules import default_timezone

SECONDS = "seconds"


def listed() -> Report:
    """Tell of all schedules."""
    now = from_row(shared_vendor().now())
    data = [_facts(schedule, now) for schedule in _schedules().order_by("name")]
    head = ("schedule", "task", "rule", "enabled", "next run", "last run", "runs", "error")
    names = ("name", "task", "rule", "enabled", "next_run_at", "last_run_at", "runs", "error")
    rows = [[each[name] or None if name != "runs" else each[name] for name in names] for each in data]
    return Report(data, table(head, rows) if rows else "no schedules")


def next_runs(name: str, count: int) -> Report:
    """Tell when a schedule is due next, in its own zone and in UTC."""
    schedule = named(name)
    zone = zone_named(schedule.timezone or default_timezone())
    slots = upcoming(schedule, from_row(shared_vendor().now()), count)
    data = {"name": schedule.name, "enabled": schedule.enabled, "slots": [slot.isoformat() for slot in slots]}
    rows = [(slot.astimezone(zone).isoformat(" ", SECONDS), slot.isoformat(" ", SECONDS)) for slot in slots]
    text = table((zone.key, "UTC"), rows) if rows else "never"
    return Report(data, text if schedule.enabled else f"{text}\n{schedule.name!r} is disabled, and sends nothing")


def switched(names: Sequence[str], enabled: bool) -> Report:
    """Enable or disable schedules: all that are named, or none."""
    found = [named(name) for name in names]
    if enabled:
        for schedule in found:
            schedule.check_values()
    # One that is broken can still be stopped, and one that is enabled already keeps its next run.
    _schedules().filter(pk__in=[schedule.pk for schedule in found], enabled=not enabled).update(enabled=enabled)
    for schedule in found:
        announce(Schedule, schedule, settings.DATABASE)
    verb = "enabled" if enabled else "disabled"
    return Report({verb: [schedule.name for schedule in found]}, "\n".join(f"{each.name}: {verb}" for each in found))


def run(name: str) -> Report:
    """Send a schedule's message now, beside its slots."""
    handle = send_now(named(name))
    return Report({"name": name, "id": handle.id}, str(handle.id))


def named(name: str) -> Schedule:
    """Return a schedule, or raise ScheduleNotFound with the name that was perhaps meant."""
    schedule = _schedules().filter(name=name).first()
    if schedule is None:
        near = get_close_matches(name, _schedules().values_list("name", flat=True), n=1)
        raise ScheduleNotFound(f"there is no schedule {name!r}{f'; did you mean {near[0]!r}?' if near else ''}")
    return schedule


def _schedules() -> QuerySet[Schedule]:
    return Schedule.objects.using(settings.DATABASE)


def _facts(schedule: Schedule, now: datetime) -> dict[str, Any]:
    error = schedule.error
    try:
        following = upcoming(schedule, now, 1) if schedule.enabled else []
    except ValueError as fault:
        following, error = [], error or str(fault)
    return {
        "name": schedule.name,
        "task": schedule.task,
        "rule": " ".join(filter(None, (schedule.kind, schedule.expression, schedule.timezone))),
        "enabled": schedule.enabled,
        "next_run_at": following[0].isoformat(" ", SECONDS) if following else "",
        "last_run_at": from_row(schedule.last_run_at).isoformat(" ", SECONDS) if schedule.last_run_at else "",
        "runs": schedule.runs,
        "declared": schedule.source,
        "error": error,
    }
