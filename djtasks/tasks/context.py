"""The run that is going on here: what a body finds at ``self.request``."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from djtasks.domain import payloads
from djtasks.domain.workflows import prepended
from djtasks.exceptions import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from djtasks.domain.messages import NewMessage, Reservation, Token
    from djtasks.exceptions import Retry
    from djtasks.tasks.definition import Definition


class _Open:
    """Lets a body keep what it likes on its request."""


@dataclass(slots=True)
class Request(_Open):
    """One run of a task, as its body sees it; ``(id, deliveries)`` is its fencing token for other systems."""

    id: str | None = None
    task: str = ""
    # Not in its repr, which is what finds its way into logs (S10).
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: dict[str, Any] = field(default_factory=dict, repr=False)
    retries: int = 0
    queue: str | None = None
    priority: int = 0
    eta: datetime | None = None
    expires: datetime | None = None
    deliveries: int = 0
    losses: int = 0
    hostname: str | None = None
    worker_id: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    headers: dict[str, Any] = field(default_factory=dict)
    shadow: str | None = None
    ignore_result: bool = False
    acks_late: bool = False
    called_directly: bool = True
    is_eager: bool = False
    entering: bool = False
    # Since the epoch: short tasks never ask for the moments.
    enqueued_at_seconds: float | None = None
    started_at_seconds: float | None = None
    pending_retry: Retry | None = None
    definition: Definition | None = None
    feeds: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    stop_event: threading.Event | None = None
    note: Callable[[Token, str], None] | None = field(default=None, repr=False)
    lost_tokens: Collection[tuple[str | None, int]] = ()
    revoked_tokens: Collection[tuple[str | None, int]] = ()

    @property
    def enqueued_at(self) -> datetime | None:
        """When the message was sent, by the database's clock; None where nothing was sent."""
        return moment_of(self.enqueued_at_seconds)

    @property
    def started_at(self) -> datetime | None:
        """When this run began, by the database's clock."""
        return moment_of(self.started_at_seconds)

    @property
    def redelivered(self) -> bool:
        """True where an earlier delivery of this message was lost or given back (ACK-7)."""
        return self.deliveries > self.retries + 1

    @property
    def delivery_info(self) -> dict[str, Any]:
        """Celery's view of where the message came from."""
        return {
            "routing_key": self.queue,
            "priority": self.priority,
            "redelivered": self.redelivered,
            "is_eager": self.is_eager,
        }

    @property
    def correlation_id(self) -> str | None:
        """Celery's other name of the id."""
        return self.id

    @property
    def timelimit(self) -> tuple[float | None, float | None]:
        """The hard and the soft time limit in seconds: the call's own, else the task's."""
        hard, soft = (
            self.options.get(name, getattr(self.definition, name, None)) for name in ("time_limit", "soft_time_limit")
        )
        return hard, soft

    @property
    def stamped_headers(self) -> list[str]:
        """The names of the headers that are stamps."""
        return list(self.options.get("stamped_headers") or ())

    @property
    def stamps(self) -> dict[str, Any]:
        """The stamps by their names."""
        return {name: self.headers.get(name) for name in self.stamped_headers}

    @property
    def tags(self) -> list[str]:
        """The tags of the task and of the call."""
        return list(self.options.get("tags") or ())

    @property
    def schedule(self) -> str | None:
        """The name of the schedule for which the message was made, if one was."""
        return self.options.get("schedule")

    @property
    def slot(self) -> datetime | None:
        """The moment for which the schedule was due, which may be long ago; None outside its slots."""
        text = self.options.get("slot")
        return datetime.fromisoformat(text) if isinstance(text, str) else None

    @property
    def stopping(self) -> bool:
        """True once the worker was asked to stop; a long body may end early and be retried."""
        return self.stop_event is not None and self.stop_event.is_set()

    @property
    def lost(self) -> bool:
        """True once the message is known to be no longer this run's own."""
        return (self.id, self.deliveries) in self.lost_tokens

    @property
    def revoked(self) -> bool:
        """True once the task is known to be revoked while it runs; a long body should end."""
        return (self.id, self.deliveries) in self.revoked_tokens

    def get(self, name: str, default: Any = None) -> Any:
        """Read a field by name, as Celery's context allows."""
        return getattr(self, name, default)

    def read(self, message: NewMessage | Reservation, task: Definition, handed: str | None = None) -> None:
        """Fill in what the message says; its row may have been spoilt by hand, which raises TypeError or ValueError.

        ``handed`` is what its upstreams have handed over: a JSON array of what goes before its own arguments.
        """
        args = payloads.decode(prepended(handed, message.args))
        kwargs = payloads.decode(message.kwargs) if message.kwargs != "{}" else {}
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise DecodeError("the row's args are no list, or its kwargs no object")
        options = payloads.decode(message.options) if message.options != "{}" else {}
        if not isinstance(options, dict):
            raise DecodeError("the row's options are no object")
        self.definition, self.options, self.feeds = task, options, message.feeds
        self.args, self.kwargs = tuple(args), kwargs
        self.queue, self.priority = message.queue, message.priority
        self.root_id, self.group = message.root or message.id, message.group
        self.parent_id = message.parent or options.get("parent_id")
        self.headers = dict(options.get("headers") or {})
        self.shadow = options.get("shadow")
        self.ignore_result = bool(options.get("ignore_result", task.ignore_result))
        self.acks_late = bool(task.acks_late if message.acks_late is None else message.acks_late)
        self.called_directly = False


_current: ContextVar[tuple[Definition, Request] | None] = ContextVar("djtasks_current_run", default=None)
_join_allowed: ContextVar[bool] = ContextVar("djtasks_join_allowed", default=False)


def current_run() -> tuple[Definition, Request] | None:
    """Return the running task and its request, or None outside a task."""
    return _current.get()


def enter(task: Definition, request: Request) -> Any:
    """Make the task the running one; return what ``leave`` wants to know."""
    return _current.set((task, request))


leave = _current.reset


class running:
    """While this is entered, the task is the running one."""

    def __init__(self, task: Definition, request: Request) -> None:
        self._task, self._request = task, request

    def __enter__(self) -> Request:
        self._before = enter(self._task, self._request)
        return self._request

    def __exit__(self, *exc_info: object) -> None:
        leave(self._before)


class allow_join_result:
    """Allow ``AsyncResult.get`` inside a task (RES-5): safe only where another worker is free to run the awaited."""

    def __enter__(self) -> None:
        self._token = _join_allowed.set(True)

    def __exit__(self, *exc_info: object) -> None:
        _join_allowed.reset(self._token)


def may_join() -> bool:
    """Say whether waiting for a result is allowed here."""
    run = _current.get()
    return run is None or run[1].is_eager or run[1].called_directly or _join_allowed.get()


def moment_of(epoch: float | None) -> datetime | None:
    """Seconds since the epoch as an aware datetime in UTC."""
    return None if epoch is None else datetime.fromtimestamp(epoch, tz=UTC)
