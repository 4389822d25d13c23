"""What a worker decides about a message that it has received or lost, before and instead of running it."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import Any

from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Failure, Outcome, Released, Revoked
from djtasks.domain.retries import redelivery_delay, unknown_task_delay
from djtasks.exceptions import DecodeError, NotRegistered, TimeLimitExceeded, WorkerLostError
from djtasks.tasks import registry
from djtasks.tasks.context import Request, moment_of
from djtasks.tasks.errors import describe, rebuild
from djtasks.tasks.task import Task
from djtasks.worker.execution import Holder, expired, request_for, revoked

logger = logging.getLogger("djtasks.worker")
TERMINATED = "terminated by "


def is_late(message: Reservation) -> bool:
    """Say whether a message is acknowledged when it ends: as its row says, else as its task does."""
    if message.acks_late is not None:
        return message.acks_late
    task = registry.find(message.task)
    return bool(task is not None and task.acks_late)


def verdict(message: Reservation, holder: Holder) -> Outcome | None:
    """Return the outcome of a received message that is not to run, or None for one that is."""
    try:
        return _verdict(message, holder)
    # The row may have been spoilt by hand in any way: it must not end the worker.
    except Exception as error:
        logger.exception("%s[%s] cannot be judged", message.task, message.id)
        return Failure(describe(error, "failure", request_for(message, holder)))


def _verdict(message: Reservation, holder: Holder) -> Outcome | None:
    if message.revoked:
        return revoked_waiting(message, holder)
    if message.expires_at is not None and message.reserved_at >= message.expires_at:
        return expired(request_for(message, holder))
    task = registry.find(message.task)
    if task is None:
        return _unknown(message, request_for(message, holder))
    if message.begun_before and not (is_late(message) and task.reject_on_worker_lost):
        reason = "its worker died or vanished after the task had begun"
        return _lost(message, task, request_for(message, holder), reason)
    if message.losses and message.losses >= task.max_deliveries:
        reason = f"its worker was lost {message.losses} times (worker_lost x{message.losses})"
        return _lost(message, task, request_for(message, holder), reason)
    return None


def after_loss(message: Reservation, reason: str, holder: Holder) -> Outcome:
    """Return the outcome of a message whose body had begun when its pool process died."""
    request = _request_of_run(message, holder)
    task = registry.find(message.task)
    losses = message.losses + 1
    if task is None or not (is_late(message) and task.reject_on_worker_lost):
        return _lost(message, task, request, reason)
    if losses >= task.max_deliveries:
        return _lost(message, task, request, f"{reason}; its worker was lost {losses} times (worker_lost x{losses})")
    line = describe(WorkerLostError(reason), "lost", request)
    return Released(delay=redelivery_delay(losses), error=line, loss=True)


def timed_out(message: Reservation, seconds: float, holder: Holder) -> Outcome:
    """Return the outcome of a message whose body was ended by its time limit (ACK-5, ACK-6)."""
    request = _request_of_run(message, holder)
    task = registry.find(message.task)
    error = TimeLimitExceeded(f"its body ran for more than {seconds:g} seconds")
    losses = message.losses + 1
    logger.error("%s[%s] is ended: %s", message.task, message.id, error)
    again = task is not None and is_late(message) and not task.acks_on_timeout
    if task is not None and again and losses < task.max_deliveries:
        return Released(delay=redelivery_delay(losses), error=describe(error, "lost", request), loss=True)
    return Failure(describe(error, "failure", request), _keeps_errors(message, task))


def revoked_waiting(message: Reservation, holder: Holder) -> Outcome:
    """Return the outcome of a message that was revoked before its body began."""
    return revoked(request_for(message, holder), "revoked")


def revoked_in_pool(message: Reservation, signal: str, holder: Holder) -> Outcome:
    """Return the outcome of a message that was revoked with a signal that ends its body (WORK-9)."""
    logger.info("%s[%s] is revoked, and ended by %s", message.task, message.id, signal)
    return revoked(_request_of_run(message, holder), f"{TERMINATED}{signal}")


def given_up(message: Reservation, begun: bool, holder: Holder) -> Outcome:
    """Return the outcome of a message that its stopping worker still holds (WORK-8)."""
    if not begun or is_late(message):
        return Released()
    request = _request_of_run(message, holder)
    return _lost(message, registry.find(message.task), request, "its worker was stopped while it ran")


def grace_of_unknown(message: Reservation) -> float:
    """Return the seconds for which a message whose task is unknown here may yet wait for a worker that knows it."""
    return settings.UNKNOWN_TASK_GRACE - max(0.0, message.reserved_at - message.enqueued_at)


def _unknown(message: Reservation, request: Request) -> Outcome:
    """Leave a task that nobody here knows to a worker that does; it may be newer than this one."""
    if (grace := grace_of_unknown(message)) > 0:
        delay = min(unknown_task_delay(settings.UNKNOWN_TASK_GRACE - grace), max(0.05, grace))
        logger.warning("%s[%s] is not registered here; left for another worker", message.task, message.id)
        return Released(delay=delay)
    error = NotRegistered(
        f"no worker knew a task named {message.task!r} within {settings.UNKNOWN_TASK_GRACE:g} seconds"
    )
    return Failure(describe(error, "failure", request))


def _lost(message: Reservation, task: Task | None, request: Request, reason: str) -> Failure:
    logger.error("%s[%s] is lost: %s", message.task, message.id, reason)
    return Failure(describe(WorkerLostError(reason), "failure", request), _keeps_errors(message, task))


def _keeps_errors(message: Reservation, task: Task | None) -> bool:
    ignored = options_of(message).get("ignore_result", task.ignore_result if task else settings.TASK_IGNORE_RESULT)
    stores = task.store_errors_even_if_ignored if task else settings.TASK_STORE_ERRORS_EVEN_IF_IGNORED
    return not ignored or bool(stores)


def options_of(message: Reservation) -> dict[str, Any]:
    """Read the options of a message, whose row may have been spoilt by hand."""
    try:
        options = payloads.decode(message.options)
    except DecodeError:
        return {}
    return options if isinstance(options, dict) else {}


def _request_of_run(message: Reservation, holder: Holder) -> Request:
    """Make the request of a run that did not come to its own end; it began when it was acknowledged, or after that."""
    request = request_for(message, holder)
    began_at = message.started_at or message.reserved_at
    # Some databases know moments that Python does not.
    with suppress(OverflowError, ValueError):
        moment_of(began_at)
        request.started_at_seconds = began_at
    return request


def error_of(outcome: Failure) -> BaseException:
    """Read the error out of its record, for those who are told of it."""
    return rebuild(json.loads(outcome.error))


def reason_of(outcome: Revoked) -> str:
    """Say why a message did not run to its end: "revoked", "expired" or "terminated by" a signal."""
    return str(json.loads(outcome.error)["reason"])
