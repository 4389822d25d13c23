"""What ``djtasks status`` shows: who works, and what waits; read from the tables alone, at a bounded cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from djtasks.beat.health import Health, health
from djtasks.beat.moments import from_row
from djtasks.broker.queues import names_of_queues
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.management.report import Report, ago, table
from djtasks.models import Message

# Of a longer queue only so many are looked at, in the order in which they are received: what is in hand comes first.
MOST_LOOKED_AT = 10_000
COLUMNS = ("due_at", "leased_until", "started_at", "retries", "worker")


def status() -> Report:
    """Tell of all workers and queues."""
    now = shared_vendor().now()
    running: Counter[UUID] = Counter()
    queues = [_queue(name, now, running) for name in names_of_queues()]
    workers = list(_workers(now, running))
    schedules = health(shared_vendor())
    data = {"workers": workers, "queues": queues, **_beats(schedules)}
    parts = [_of_workers(workers), _of_queues(queues), *_of_schedules(schedules)]
    troubles = ["" if any(worker["alive"] for worker in workers) else "no worker is alive", schedules.problem]
    return Report(data, "\n\n".join(parts), "; ".join(filter(None, troubles)))


def _workers(now: datetime, running: Counter[UUID]) -> Iterator[dict[str, Any]]:
    vanished = set(shared_vendor().vanished_workers().values_list("pk", flat=True))
    for row in shared_vendor().workers().order_by("name", "pk"):
        yield {
            "name": row.name,
            "id": str(row.pk),
            "alive": row.pk not in vanished,
            "seen_seconds_ago": round(max(0.0, (now - row.last_seen).total_seconds()), 1),
            "host": row.host,
            "pid": row.pid,
            "pool": row.pool,
            "slots": row.slots,
            "running": running[row.pk],
            "queues": row.queues,
            "excluded": row.excluded,
        }


def _beats(found: Health) -> dict[str, Any]:
    beats = [
        {
            "name": beat.name,
            "id": str(beat.pk),
            "alive": found.is_alive(beat),
            "seen_seconds_ago": _seconds_since(beat.last_seen, found),
            "host": beat.host,
            "pid": beat.pid,
            "worker": beat.worker and str(beat.worker),
        }
        for beat in found.beats
    ]
    broken = [each._asdict() for each in found.broken]
    return {"beats": beats, "schedules": {"enabled": found.enabled, "late": found.late, "broken": broken}}


def _seconds_since(moment: datetime, found: Health) -> float:
    return round(max(0.0, (found.now - from_row(moment)).total_seconds()), 1)


def _queue(name: str, now: datetime, running: Counter[UUID]) -> dict[str, Any]:
    rows = Message.objects.using(settings.DATABASE).filter(queue=name).order_by("-priority", "due_at", "id")
    counts: Counter[str] = Counter()
    oldest = looked_at = 0.0
    for due_at, leased_until, started_at, retries, worker in rows.values_list(*COLUMNS)[:MOST_LOOKED_AT]:
        looked_at += 1
        label = states.label_of_message(
            due_at=due_at, leased_until=leased_until, started_at=started_at, retries=retries, now=now
        )
        counts[label] += 1
        if label == states.READY:
            oldest = max(oldest, (now - due_at).total_seconds())
        elif label == states.RUNNING:
            running[worker] += 1
    return {
        "name": name,
        "ready": counts[states.READY],
        "delayed": counts[states.DELAYED] + counts[states.RETRYING],
        "blocked": counts[states.BLOCKED],
        "reserved": counts[states.RESERVED],
        "running": counts[states.RUNNING],
        "oldest_waiting_seconds": round(oldest, 1) if counts[states.READY] else None,
        "complete": looked_at < MOST_LOOKED_AT,
    }


def _of_workers(workers: list[dict[str, Any]]) -> str:
    head = ("worker", "state", "seen", "pid", "pool", "slots", "running", "queues")
    rows = [
        (
            worker["name"],
            "alive" if worker["alive"] else "dead",
            f"{ago(worker['seen_seconds_ago'])} ago",
            worker["pid"],
            worker["pool"],
            worker["slots"],
            worker["running"],
            _served(worker),
        )
        for worker in workers
    ]
    return table(head, rows) if rows else "no workers"


def _served(worker: dict[str, Any]) -> str:
    if worker["queues"] is None:
        return "all" + "".join(f", not {name}" for name in worker["excluded"])
    return ", ".join(worker["queues"]) or "none"


def _of_queues(queues: list[dict[str, Any]]) -> str:
    head = ("queue", "ready", "delayed", "reserved", "running", "oldest waits")
    rows = []
    for queue in queues:
        more = "" if queue["complete"] else "+"
        counts = [f"{queue[name]}{more}" for name in ("ready", "delayed", "reserved", "running")]
        oldest = queue["oldest_waiting_seconds"]
        rows.append((queue["name"], *counts, None if oldest is None else ago(oldest)))
    return table(head, rows) if rows else "no messages"


def _of_schedules(found: Health) -> Iterator[str]:
    """Tell of beats and schedules, where there are any."""
    if found.beats or found.enabled:
        head = ("beat", "state", "seen", "pid", "within a worker")
        rows = [
            (
                beat.name,
                "alive" if found.is_alive(beat) else "dead",
                f"{ago(_seconds_since(beat.last_seen, found))} ago",
                beat.pid,
                "yes" if beat.worker else "no",
            )
            for beat in found.beats
        ]
        yield table(head, rows) if rows else "no beats"
        yield f"schedules: {found.enabled} enabled, {found.late} late"
    if found.broken:
        yield table(("schedule", "error"), [(each.name, each.error.splitlines()[0]) for each in found.broken])
