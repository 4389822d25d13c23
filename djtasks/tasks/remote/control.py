"""The remote control: what can be said to messages and to running workers, with Celery's names (WORK-9, WORK-10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from djtasks.broker.pause import pause, resume
from djtasks.broker.purge import purge_messages
from djtasks.broker.vendors import shared_vendor
from djtasks.domain.identifiers import as_uuid, check_queue_name, signal_name
from djtasks.tasks import revoking
from djtasks.tasks.remote.asking import Destination, ask, tell
from djtasks.tasks.remote.inspection import inspect

Replies = list[dict[str, Any]] | None


class Control:
    """Every verb for workers takes ``destination`` (names or ids), ``reply`` and ``timeout``.

    With ``reply`` it returns ``[{name: answer}, …]``, where an answer is ``{"ok": …}`` or ``{"error": …}``.
    """

    inspect = inspect

    # Messages

    def revoke(self, task_id: Any, terminate: bool = False, signal: str | int = "SIGTERM") -> Any:
        """Revoke a task, or several: for one return "revoked", "requested" or "too_late", for several a dict of these.

        It is a fact of the message's row: it outlives workers, and needs none.
        """
        revoke = _revoke(terminate, signal)
        if isinstance(task_id, (list, tuple, set, frozenset)):
            return {str(each): revoke(_id_of(each)) for each in task_id}
        return revoke(_id_of(task_id))

    def terminate(self, task_id: Any, signal: str | int = "SIGTERM") -> Any:
        """Revoke a task, or several, and end the body of what runs."""
        return self.revoke(task_id, terminate=True, signal=signal)

    def revoke_all(
        self,
        *,
        task: str | None = None,
        queue: str | None = None,
        tag: str | None = None,
        stamps: Mapping[str, Any] | None = None,
        terminate: bool = False,
        signal: str | int = "SIGTERM",
    ) -> dict[str, int]:
        """Revoke all living messages that fit everything given; return how many gave which answer."""
        return revoking.revoke_matching(_revoke(terminate, signal), task=task, queue=queue, tag=tag, stamps=stamps)

    def revoke_by_stamped_headers(
        self, headers: Mapping[str, Any], terminate: bool = False, signal: str | int = "SIGTERM"
    ) -> dict[str, int]:
        """Revoke all living messages that bear one of these stamps (CANV-14); those sent later are not touched."""
        return self.revoke_all(stamps=headers, terminate=terminate, signal=signal)

    def purge(self, queues: Sequence[str] | None = None) -> int:
        """Delete what waits in these queues, or in all; what a worker holds stays. Returns how many that were."""
        names = [queues] if isinstance(queues, str) else queues
        return purge_messages(shared_vendor(), names and [check_queue_name(name) for name in names])

    discard_all = purge

    # Queues

    def pause(self, queue: str) -> bool:
        """Let all workers, also those to come, receive nothing from a queue; say whether that is a change."""
        return pause(queue)

    def resume(self, queue: str) -> bool:
        """Let workers receive from a queue again; say whether that is a change."""
        return resume(queue)

    # Workers

    def ping(self, destination: Destination = None, timeout: float = 1.0) -> list[dict[str, Any]]:
        """Ask who is there."""
        return self.broadcast("ping", destination=destination, reply=True, timeout=timeout) or []

    def rate_limit(self, task_name: str, rate_limit: float | str | None, **how: Any) -> Replies:
        """Let workers begin a task only so often: "10/s", "10/m", "10/h"; 0 lifts the limit (WORK-4)."""
        return self.broadcast("rate_limit", {"task_name": task_name, "rate_limit": rate_limit}, **how)

    def time_limit(self, task_name: str, soft: float | None = None, hard: float | None = None, **how: Any) -> Replies:
        """Change how long workers let a task run (WORK-3)."""
        return self.broadcast("time_limit", {"task_name": task_name, "soft": soft, "hard": hard}, **how)

    def pool_grow(self, n: int = 1, **how: Any) -> Replies:
        """Add slots to each pool."""
        return self.broadcast("pool_grow", {"n": n}, **how)

    def pool_shrink(self, n: int = 1, **how: Any) -> Replies:
        """Take slots from each pool; what runs in them ends first."""
        return self.broadcast("pool_shrink", {"n": n}, **how)

    def pool_restart(self, **how: Any) -> Replies:
        """Replace the processes of each pool, so that they load new code."""
        return self.broadcast("pool_restart", **how)

    def autoscale(self, max: int, min: int, **how: Any) -> Replies:
        """Change the bounds of pools that scale by themselves (WORK-5)."""
        return self.broadcast("autoscale", {"max": max, "min": min}, **how)

    def add_consumer(self, queue: str, **how: Any) -> Replies:
        """Let workers serve a queue, too (ROUTE-3)."""
        return self.broadcast("add_consumer", {"queue": check_queue_name(queue)}, **how)

    def cancel_consumer(self, queue: str, **how: Any) -> Replies:
        """Let workers serve a queue no longer (ROUTE-3)."""
        return self.broadcast("cancel_consumer", {"queue": check_queue_name(queue)}, **how)

    def shutdown(self, destination: Destination = None, **how: Any) -> Replies:
        """Stop workers as TERM does (WORK-6)."""
        return self.broadcast("shutdown", destination=destination, **how)

    def broadcast(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        destination: Destination = None,
        reply: bool = False,
        timeout: float = 1.0,
    ) -> Replies:
        """Send a command to each living worker, or to those of the destination."""
        if not reply:
            tell(command, arguments or {}, destination)
            return None
        answers = ask(command, arguments or {}, destination, timeout, lasting=True).answers
        return [{name: answer} for name, answer in answers.items()]


def _revoke(terminate: bool, signal: str | int) -> Any:
    return partial(revoking.revoke, terminate=signal_name(signal)) if terminate else revoking.revoke


def _id_of(task: Any) -> UUID:
    """Read an id, or that of a result's handle."""
    return as_uuid(getattr(task, "id", task))


control = Control()
