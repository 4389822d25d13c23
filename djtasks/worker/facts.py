"""What a worker tells of itself: read from its memory alone, so that no question stalls it (WORK-10)."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import django
from django.views.debug import SafeExceptionReporterFilter

from djtasks.conf import Settings, settings
from djtasks.domain import payloads
from djtasks.domain.messages import Reservation, Token
from djtasks.domain.options import TASK_OPTIONS
from djtasks.exceptions import DecodeError, EncodeError
from djtasks.tasks import registry
from djtasks.tasks.masking import shown_texts
from djtasks.worker import judge
from djtasks.worker.holdings import Held, Holdings
from djtasks.worker.pools.base import Pool
from djtasks.worker.serving import resident_kib

if TYPE_CHECKING:
    from djtasks.worker.supervisor import Supervisor

Facts = dict[str, Any]
CLIPPED_BYTES = 1024


def ping(worker: Supervisor) -> Facts:
    """Say that it listens."""
    return {"ok": "pong"}


def active(worker: Supervisor) -> list[Facts]:
    """Tell what runs, longest first."""
    since, held = _begun(worker), _held(worker)
    running = sorted(since, key=lambda token: since[token])
    return [_running(worker, held[token].message, since[token]) for token in running]


def reserved(worker: Supervisor) -> list[Facts]:
    """Tell what is held and has not begun."""
    return [_message(worker, message) for message in _unbegun(worker)]


def held(worker: Supervisor) -> list[str]:
    """Name all that is held."""
    return [token.id for token in _held(worker)]


def query_task(worker: Supervisor, ids: list[str]) -> dict[str, list[Any]]:
    """Tell of these messages what is held here: ``{id: ["active" | "reserved", facts]}``."""
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise TypeError(f"query_task takes a list of ids, not {ids!r:.80}")
    running = {facts["id"]: ["active", facts] for facts in active(worker) if facts["id"] in ids}
    waiting = {facts["id"]: ["reserved", facts] for facts in reserved(worker) if facts["id"] in ids}
    return waiting | running


def registered(worker: Supervisor, attributes: list[str] | None = None) -> list[str]:
    """Name the tasks that it knows, each with these of its options."""
    unknown = set(attributes or ()) - TASK_OPTIONS
    if unknown:
        raise ValueError(f"no task has an option {sorted(unknown)[0]!r:.80}")
    return [_registered(name, attributes or []) for name in registry.names()]


def active_queues(worker: Supervisor) -> list[Facts]:
    """Name the queues that it serves; ``*`` stands for every queue but the excluded."""
    served = worker.intake.subscription
    if served.queues is None:
        return [{"name": "*", "excluded": list(served.excluded)}]
    return [{"name": name} for name in served.queues]


def stats(worker: Supervisor) -> Facts:
    """Count what it has done, and measure what it takes."""
    pids = [pid for pool, _ in _pools(worker) for pid in pool.pids()]
    return {
        "hostname": worker.plan.hostname,
        "worker_id": worker.holder.worker_id,
        "pid": worker.heartbeat.presence.row["pid"],
        "uptime": round(time.monotonic() - worker.heartbeat.born_at, 1),
        "stopping": worker.stopping,
        "total": dict(sum((lane.ledger.totals for lane in worker.lanes), Counter())),
        "active": len(_begun(worker)),
        "reserved": len(_unbegun(worker)),
        "pool": {
            "name": worker.plan.pool,
            "max-concurrency": worker.lanes.slots,
            "processes": pids,
            "max-tasks-per-child": worker.plan.max_tasks_per_child,
            "max-memory-per-child": worker.plan.max_memory_per_child,
        },
        "memory": {str(pid): resident_kib(pid) for pid in [worker.heartbeat.presence.row["pid"], *pids]},
        "rusage": _usage(),
    }


def conf(worker: Supervisor) -> Facts:
    """Show the settings that count here; what looks like a secret is masked."""
    masked = SafeExceptionReporterFilter().cleanse_setting
    return {field.name: _plain(masked(field.name, getattr(settings, field.name))) for field in fields(Settings)}


def report(worker: Supervisor) -> Facts:
    """Say which versions of everything work here."""
    database = worker.vendor.connection
    return {
        "python": sys.version.split()[0],
        "django": django.get_version(),
        "djtasks": sys.modules["djtasks"].__version__,
        "platform": platform.platform(),
        "database": database.vendor,
        "conf": conf(worker),
    }


def _pools(worker: Supervisor) -> list[tuple[Pool, Holdings]]:
    """Return each pool with what is held for it."""
    return [(lane.pool, lane.holdings) for lane in worker.lanes]


def _held(worker: Supervisor) -> dict[Token, Held]:
    return {token: held for _, holdings in _pools(worker) for token, held in holdings.held.items()}


def _begun(worker: Supervisor) -> Mapping[Token, float]:
    """Say which held messages run, and since when by the monotonic clock."""
    pools = _pools(worker)
    return {token: at for pool, holdings in pools for token, at in pool.begun().items() if holdings.in_pool(token)}


def _unbegun(worker: Supervisor) -> list[Reservation]:
    begun = _begun(worker)
    return [each.message for token, each in _held(worker).items() if each.place != "ended" and token not in begun]


def _running(worker: Supervisor, message: Reservation, since: float) -> Facts:
    facts = _message(worker, message)
    facts["acknowledged"] = not judge.is_late(message)
    facts["time_start"] = since + worker.holder.clock
    facts["seconds"] = round(time.monotonic() - since, 3)
    found = (pid for pool, _ in _pools(worker) if (pid := pool.pid_of(message.token)))
    facts["worker_pid"] = next(found, None)
    return facts


def _message(worker: Supervisor, message: Reservation) -> Facts:
    args, kwargs = _decoded(message.args), _decoded(message.kwargs)
    args, kwargs = shown_texts(message.task, args, kwargs, _decoded(message.options))
    return {
        "id": message.id,
        "name": message.task,
        "type": message.task,
        "args": args,
        "kwargs": kwargs,
        "hostname": worker.plan.hostname,
        "queue": message.queue,
        "priority": message.priority,
        "retries": message.retries,
        "deliveries": message.deliveries,
        "redelivered": message.deliveries > message.retries + 1,
    }


def _decoded(text: str) -> Any:
    """Read a payload; one that was spoilt by hand is shown as it stands."""
    try:
        return payloads.decode(text)
    except DecodeError:
        return text


def _registered(name: str, attributes: list[str]) -> str:
    task = registry.get(name)
    shown = " ".join(f"{attribute}={getattr(task, attribute)}" for attribute in attributes)
    return f"{name} [{shown}]" if shown else name


def _usage() -> Facts:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"utime": round(usage.ru_utime, 3), "stime": round(usage.ru_stime, 3), "maxrss": usage.ru_maxrss}


def _plain(value: Any) -> Any:
    """Return the value, or what it looks like where JSON cannot hold it."""
    try:
        payloads.encode(value, where="setting")
    except EncodeError:
        return payloads.printable(repr(value), CLIPPED_BYTES)
    return value


FACTS: dict[str, Callable[..., Any]] = {
    fact.__name__: fact
    for fact in (ping, active, reserved, held, query_task, registered, active_queues, stats, conf, report)
}
