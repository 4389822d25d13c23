"""From a reservation to its outcome: find the task, set the context, call, judge."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from djtasks.domain import outcomes
from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import Outcome
from djtasks.tasks import attempt, registry
from djtasks.tasks.attempt import PLAIN, Attempt, Body
from djtasks.tasks.canvas import errbacks
from djtasks.tasks.context import Request, moment_of
from djtasks.tasks.errors import describe, describe_revocation, format_traceback
from djtasks.tasks.task import Task
from djtasks.worker.isolation import isolated

logger = logging.getLogger("djtasks.worker")


@dataclass(slots=True)
class Holder:
    """The worker on whose behalf bodies run here.

    ``clock`` is what to add to this host's monotonic clock to read the database's.
    """

    worker_id: str
    hostname: str
    clock: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    lost: set[Token] = field(default_factory=set)
    revoked: set[Token] = field(default_factory=set)
    note: Callable[[Token, str], None] | None = None

    def now(self) -> float:
        """Read the database's clock, in seconds since the epoch."""
        return time.monotonic() + self.clock


@dataclass(slots=True)
class Ready:
    """A run that can begin."""

    task: Task
    request: Request
    started_at: float


@dataclass(slots=True)
class Run:
    """A body that has ended: its outcome, when it began, how long it took, and what waits for the settlement."""

    outcome: Outcome
    started_at: float | None = None
    seconds: float = 0.0
    after: Callable[[], None] | None = None


def execute(message: Reservation, holder: Holder, body: Body = PLAIN) -> Run:
    """Run the body of a message; whatever the row holds and the body does, this returns."""
    ready = prepare(message, holder)
    if isinstance(ready, Run):
        return ready
    return conclude(ready, isolated(attempt.make, ready.task, ready.request, body), body)


def prepare(message: Reservation, holder: Holder) -> Ready | Run:
    """Find the task of a message and set its request, or say how it ends without."""
    request = request_for(message, holder)
    try:
        task = registry.get(message.task)
        if message.expires_at is not None and holder.now() >= message.expires_at:
            return Run(expired(request))
        _read(message, task, request, holder)
    # The row may have been spoilt by hand in any way: it harms nobody but itself.
    except Exception as error:
        return Run(_failure(error, request))
    started_at = holder.now()
    request.started_at_seconds = started_at
    return Ready(task, request, started_at)


def request_for(message: Reservation, holder: Holder) -> Request:
    """Make the request of a message as far as its holder knows of it without reading its payloads."""
    # To set these is quicker than to pass them.
    request = Request()
    request.id, request.task, request.retries = message.id, message.task, message.retries
    request.deliveries, request.losses = message.deliveries, message.losses
    request.hostname, request.worker_id = holder.hostname, holder.worker_id
    return request


def _read(message: Reservation, task: Task, request: Request, holder: Holder) -> None:
    """Fill the request from the row, which may have been spoilt by hand."""
    request.read(message, task, message.handed)
    if "failed" in request.options:
        request.args = (*errbacks.arguments_of(task, request.options["failed"]), *request.args)
    request.enqueued_at_seconds = message.enqueued_at
    # A message that is due from the start has no eta.
    if message.due_at != message.enqueued_at:
        request.eta = moment_of(message.due_at)
    if message.expires_at is not None:
        request.expires = moment_of(message.expires_at)
    request.stop_event, request.lost_tokens, request.revoked_tokens = holder.stopping, holder.lost, holder.revoked
    request.note = holder.note


def conclude(ready: Ready, ended: Attempt, body: Body) -> Run:
    """Say how a body ended, and what waits for the settlement."""
    task, request = ready.task, ready.request
    if not body.abandoned:
        try:
            attempt.report(task, request, ended)
        # A base class may be broken; what the body has done stands all the same.
        except Exception as error:
            logger.exception("%s[%s] cannot be reported", task.name, request.id)
            attempt.tell_internal_error(task, request, error)
    run = Run(ended.outcome, ready.started_at, ended.seconds)
    if attempt.wants_after(task):
        run.after = lambda: isolated(lambda: attempt.after(task, request, ended))
    elif ended.error is not None:
        # A frame that is held by its own traceback is garbage only the collector finds.
        ended.error.__traceback__ = None
    return run


def _failure(error: BaseException, request: Request) -> outcomes.Failure:
    return outcomes.Failure(describe(error, "failure", request, format_traceback(error)))


def expired(request: Request) -> outcomes.Revoked:
    """Make the outcome of a message that came too late (CALL-4)."""
    return revoked(request, "expired")


def revoked(request: Request, reason: str) -> outcomes.Revoked:
    """Make the outcome of a message that is not to run."""
    return outcomes.Revoked(describe_revocation(reason, request))
