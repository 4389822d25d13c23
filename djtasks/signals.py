"""Signals for bystanders, with Celery's names; a receiver that raises harms nobody."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.dispatch import Signal as DjangoSignal

# Django knows senders by their identity; a name is whichever equal text was connected first.
_names: dict[str, str] = {}


class Signal(DjangoSignal):
    """Django's signal, whose ``connect`` is a decorator, too, with or without arguments, as Celery's is (MON-2)."""

    def connect(self, receiver: Any = None, sender: Any = None, weak: bool = True, dispatch_uid: Any = None) -> Any:
        if receiver is None:
            return partial(self.connect, sender=sender, weak=weak, dispatch_uid=dispatch_uid)
        if isinstance(sender, str):
            sender = _names.setdefault(sender, sender)
        super().connect(receiver, sender, weak, dispatch_uid)
        return receiver

    def disconnect(self, receiver: Any = None, sender: Any = None, dispatch_uid: Any = None) -> bool:
        return super().disconnect(receiver, _known(sender), dispatch_uid)


# Before: ``headers`` is the dict that travels with the message, and may be added to. After: it has been committed.
before_task_publish = Signal()
after_task_publish = Signal()

# Received: the worker holds the message, and is to run it. Those that tell of an end are sent once it is recorded.
task_prerun = Signal()
task_postrun = Signal()
task_success = Signal()
task_failure = Signal()
task_retry = Signal()
task_revoked = Signal()
task_received = Signal()
task_rejected = Signal()
task_internal_error = Signal()
task_unknown = Signal()

# Of the supervisor: Django is ready; messages may be received; told to stop; nothing is left.
worker_init = Signal()
worker_ready = Signal()
worker_shutting_down = Signal()
worker_shutdown = Signal()
heartbeat_sent = Signal()

# Of a beat: it is about to begin, by itself or within a worker.
beat_init = Signal()
beat_embedded_init = Signal()

# Of each process that runs bodies.
worker_process_init = Signal()
worker_process_shutdown = Signal()

# With a receiver, the first keeps the worker from setting up its own logging.
setup_logging = Signal()
after_setup_logger = Signal()
after_setup_task_logger = Signal()

_AFTER = (task_postrun, task_success, task_failure, task_retry, task_revoked, task_rejected)


def send(signal: Signal, sender: Any, **facts: Any) -> None:
    """Tell the receivers, if there are any; what one of them raises is logged, by Django."""
    if signal.receivers:
        signal.send_robust(_known(sender), **facts)


def any_after() -> bool:
    """Say whether anybody listens for the end of a run."""
    # This is asked after each run: a loop takes a third of what a generator would.
    for signal in _AFTER:  # noqa: SIM110
        if signal.receivers:
            return True
    return False


def _known(sender: Any) -> Any:
    return _names.get(sender, sender) if isinstance(sender, str) else sender
