"""Signals for bystanders, with Celery's names; a receiver that raises harms nobody."""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

logger = logging.getLogger("djtasks.signals")

# Before: ``headers`` is the dict that travels with the message, and may be added to. After: it has been committed.
before_task_publish = Signal()
after_task_publish = Signal()
task_prerun = Signal()
task_postrun = Signal()
task_success = Signal()
task_failure = Signal()
task_retry = Signal()
task_revoked = Signal()
task_unknown = Signal()
worker_ready = Signal()
worker_shutdown = Signal()

_AFTER = (task_postrun, task_success, task_failure, task_retry)


def send(signal: Signal, sender: Any, **facts: Any) -> None:
    """Tell the receivers, if there are any, and log what one of them raises."""
    if not signal.receivers:
        return
    for receiver, answer in signal.send_robust(sender, **facts):
        if isinstance(answer, BaseException):
            logger.error("receiver %r of a signal failed", receiver, exc_info=answer)


def any_after() -> bool:
    """Say whether anybody listens for the end of a run."""
    return any(signal.receivers for signal in _AFTER)
