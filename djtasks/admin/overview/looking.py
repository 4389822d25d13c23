"""All that the overview shows at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from djtasks.admin.measures import in_words, size_of
from djtasks.admin.overview.drawing import as_table, chart
from djtasks.admin.overview.endings import HOUR, Course, courses
from djtasks.admin.overview.queues import Running, Standing, standings
from djtasks.admin.tasks.listing import Visible, everything
from djtasks.admin.texts import as_text
from djtasks.beat.health import Health, health
from djtasks.beat.moments import from_row
from djtasks.broker.pause import paused
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain.escaping import one_line
from djtasks.models import Message, Schedule, Worker

MOST_RUNNING = 10
MOST_DUE = 5
# Who has given no sign of life for so long is left out.
LONG_GONE = timedelta(hours=1)


class QueueSeen(NamedTuple):
    """A queue: what stands in it, and how it went."""

    name: str
    standing: Standing
    paused_for: str
    course: Course | None
    chart: SafeString | str
    oldest: str
    waited: list[str]
    ran: list[str]


class WorkerSeen(NamedTuple):
    """A worker: whether it lives, and what it runs."""

    row: Worker
    name: str
    is_alive: bool
    seen: str
    memory: str
    running: list[tuple[Running, str, str]]
    more: int


class BeatSeen(NamedTuple):
    """A beat, and whether it lives."""

    name: str
    is_alive: bool
    seen: str
    is_embedded: bool


class DueNext(NamedTuple):
    """A schedule, when it is due, and how long that is from now, or ago."""

    id: Any
    name: str
    task: str
    at: datetime
    distance: str
    is_past: bool


def look(visible: Visible = everything) -> dict[str, Any]:
    """Read it all; of tasks, and of the queues in which they are, what may be seen."""
    vendor = shared_vendor()
    moment = vendor.now()
    now = from_row(moment)
    standing = {each.name: each for each in standings(visible)}
    together, course_of = courses(moment, visible)
    pauses = paused(vendor)
    names = standing.keys() | course_of.keys() | (pauses.keys() if _shows_all(visible) else set())
    found = health(vendor)
    running = [each for queue in standing.values() for each in queue.running]
    return {
        "now": now,
        "queues": [
            _queue(
                standing.get(name) or Standing(name),
                course_of.get(name),
                _ago(pauses[name], now) if name in pauses else "",
                now,
            )
            for name in sorted(names)
        ],
        "course": together,
        "chart": chart(together, "hour"),
        "numbers": as_table(together.bars),
        "span": _("The last hour") if together.span == HOUR else _("The last %s") % in_words(together.span),
        "since": now - together.span,
        "part": in_words(together.part),
        "workers": list(_workers(now, running)),
        "beats": [
            BeatSeen(one_line(beat.name), found.is_alive(beat), _ago(beat.last_seen, now), beat.worker is not None)
            for beat in found.beats
            if now - from_row(beat.last_seen) < LONG_GONE
        ],
        "enabled": found.enabled,
        "late": found.late,
        "broken": [(one_line(each.name), as_text(each.error)) for each in found.broken],
        "problem": _problem(found),
        "due_next": list(_due_next(now)),
    }


def shows_queue(visible: Visible, name: str) -> bool:
    """Say whether a queue may be seen: any by who sees all tasks, else those in which there is something to see."""
    if _shows_all(visible):
        return True
    live = visible(Message.objects.using(settings.DATABASE)).filter(queue=name)
    return live.exists() or name in courses(shared_vendor().now(), visible)[1]


def _shows_all(visible: Visible) -> bool:
    rows = Message.objects.using(settings.DATABASE)
    return visible(rows) is rows


def _queue(standing: Standing, course: Course | None, paused_for: str, now: datetime) -> QueueSeen:
    return QueueSeen(
        one_line(standing.name),
        standing,
        paused_for,
        course,
        chart(course, "spark") if course else "",
        _ago(standing.oldest, now) if standing.oldest else "",
        [in_words(each) for each in (course and course.waited) or ()],
        [in_words(each) for each in (course and course.ran) or ()],
    )


def _workers(now: datetime, running: list[Running]) -> Iterator[WorkerSeen]:
    held: dict[UUID | None, list[Running]] = defaultdict(list)
    for each in running:
        held[each.worker].append(each)
    vanished = set(shared_vendor().vanished_workers().values_list("pk", flat=True))
    for row in shared_vendor().workers().order_by("name", "pk"):
        if row.pk in vanished and now - from_row(row.last_seen) > LONG_GONE:
            continue
        runs = sorted(held[row.pk], key=lambda each: each.since)
        shown = [(each, one_line(each.task), in_words(now - each.since)) for each in runs[:MOST_RUNNING]]
        yield WorkerSeen(
            row,
            one_line(row.name),
            row.pk not in vanished,
            _ago(row.last_seen, now),
            size_of(row.memory),
            shown,
            len(runs) - len(shown),
        )


def _due_next(now: datetime) -> Iterator[DueNext]:
    """Tell what beats are to send first."""
    enabled = Schedule.objects.using(settings.DATABASE).filter(enabled=True, next_run_at__isnull=False)
    for schedule in enabled.order_by("next_run_at")[:MOST_DUE]:
        if schedule.next_run_at:
            at = from_row(schedule.next_run_at)
            name, task = one_line(schedule.name), one_line(schedule.task)
            yield DueNext(schedule.pk, name, task, at, in_words(abs(at - now)), at < now)


def _problem(found: Health) -> str:
    """Say what keeps messages from being sent, or nothing."""
    if found.enabled and not found.living:
        return ngettext(
            "No beat is alive, and %(count)d schedule is enabled: run manage.py runbeat, or runworker -B.",
            "No beat is alive, and %(count)d schedules are enabled: run manage.py runbeat, or runworker -B.",
            found.enabled,
        ) % {"count": found.enabled}
    if found.late and found.latest_since:
        return ngettext(
            "%(count)d schedule is late, by up to %(duration)s.",
            "%(count)d schedules are late, by up to %(duration)s.",
            found.late,
        ) % {"count": found.late, "duration": _ago(found.latest_since, found.now)}
    return ""


def _ago(moment: datetime, now: datetime) -> str:
    return in_words(max(timedelta(), now - from_row(moment)))
