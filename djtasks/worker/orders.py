"""What the remote control can change in a running worker; nothing here outlives it (WORK-10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from djtasks.domain.identifiers import check_queue_name
from djtasks.domain.rates import rate_of
from djtasks.tasks import registry
from djtasks.tasks.routing import check_known

if TYPE_CHECKING:
    from djtasks.worker.supervisor import Supervisor

Answer = dict[str, str]
MOST_SLOTS = 10_000


def rate_limit(worker: Supervisor, task_name: str, rate_limit: Any) -> Answer:
    """Let this worker begin a task only so often (WORK-4)."""
    registry.get(task_name)
    rate = rate_of(rate_limit)
    worker.rates.change(task_name, rate_limit)
    return {"ok": "rate limit disabled" if rate is None else "new rate limit set"}


def time_limit(worker: Supervisor, task_name: str, soft: Any = None, hard: Any = None) -> Answer:
    """Change how long this worker lets a task run (WORK-3)."""
    registry.get(task_name)
    worker.limits.change(task_name, soft, hard)
    return {"ok": "time limits set"}


def pool_grow(worker: Supervisor, n: int = 1) -> Answer:
    """Add slots."""
    return _resize(worker, worker.pool.slots + _count(n))


def pool_shrink(worker: Supervisor, n: int = 1) -> Answer:
    """Take slots away; what runs in them ends first."""
    return _resize(worker, worker.pool.slots - _count(n))


def pool_restart(worker: Supervisor) -> Answer:
    """Replace the processes of the pool as they become free, so that new code is loaded."""
    for lane in worker.lanes:
        lane.pool.restart()
    return {"ok": "reload started"}


def autoscale(worker: Supervisor, max: int, min: int) -> Answer:
    """Change the bounds of a pool that grows and shrinks by itself (WORK-5)."""
    if _count(min) > _count(max):
        raise ValueError(f"autoscale takes the larger number first: max={max}, min={min}")
    if worker.autoscaler is None:
        raise ValueError("this worker has no autoscaling: start it with --autoscale")
    worker.autoscaler.change(max, min)
    worker.heartbeat.change(slots=worker.lanes.slots)
    return {"ok": f"autoscale now max={max} min={min}"}


def add_consumer(worker: Supervisor, queue: str) -> Answer:
    """Serve a queue, too (ROUTE-3)."""
    changed = worker.intake.serve(check_known(check_queue_name(queue)))
    worker.heartbeat.change(**worker.lanes.columns())
    return {"ok": f"add consumer {queue}" if changed else f"already consuming from {queue!r}"}


def cancel_consumer(worker: Supervisor, queue: str) -> Answer:
    """Serve a queue no longer (ROUTE-3)."""
    check_queue_name(queue)
    changed = worker.intake.drop(queue)
    worker.heartbeat.change(**worker.lanes.columns())
    return {"ok": f"no longer consuming from {queue}" if changed else f"was not consuming from {queue!r}"}


def shutdown(worker: Supervisor) -> Answer:
    """Stop as after TERM: take no more, let what runs end, exit (WORK-6)."""
    worker.request_stop()
    return {"ok": "shutting down"}


def _resize(worker: Supervisor, slots: int) -> Answer:
    if worker.autoscaler is not None:
        raise ValueError("this worker scales its pool by itself: change the bounds with autoscale")
    if not 1 <= slots <= MOST_SLOTS:
        raise ValueError(f"a pool has from 1 to {MOST_SLOTS} slots, not {slots}")
    worker.pool.resize(slots)
    worker.heartbeat.change(slots=worker.lanes.slots)
    return {"ok": f"pool has {slots} slot{'s' if slots > 1 else ''}"}


def _count(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"expected a whole number from 1, not {n!r:.80}")
    return n


ORDERS: dict[str, Callable[..., Answer]] = {
    order.__name__: order
    for order in (
        rate_limit,
        time_limit,
        pool_grow,
        pool_shrink,
        pool_restart,
        autoscale,
        add_consumer,
        cancel_consumer,
        shutdown,
    )
}
