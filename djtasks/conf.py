"""The one dict ``settings.DJTASKS``: typed defaults, what is wrong with it, and cheap access."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from djtasks.domain.identifiers import check_priority, check_queue_name
from djtasks.exceptions import ImproperlyConfigured

Complaint = Callable[[Any], str | None]


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "expected True or False"


def _number(least: float, *, whole: bool = False, optional: bool = False) -> Complaint:
    kind = int if whole else (int, float)
    wanted = f"expected {'an int' if whole else 'a number'} of at least {least:g}{' or None' if optional else ''}"

    def complaint(value: Any) -> str | None:
        if value is None and optional:
            return None
        return None if isinstance(value, kind) and not isinstance(value, bool) and least <= value < inf else wanted

    return complaint


def _choice(*choices: Any) -> Complaint:
    wanted = f"expected one of {', '.join(map(repr, choices))}"
    # Types are compared, too, since 1 == True.
    return lambda value: None if any(type(value) is type(choice) and value == choice for choice in choices) else wanted


def _accepted(check: Callable[[Any], object]) -> Complaint:
    def complaint(value: Any) -> str | None:
        try:
            check(value)
        except (TypeError, ValueError) as error:
            return str(error)
        return None

    return complaint


def _check_queues(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, (list, tuple)) or not value:
        raise TypeError("expected a list of queue names, or None for every queue")
    for name in value:
        check_queue_name(name)


def _check_alias(value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise TypeError("expected an alias of DATABASES")


def _check_duration(value: Any) -> None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if _number(0, optional=True)(seconds):
        raise TypeError("expected a number of seconds, a timedelta, or None to keep results for ever")


def _setting(default: Any, complaint: Complaint, doc: str) -> Any:
    return field(default=default, metadata={"complaint": complaint, "doc": doc})


@dataclass(frozen=True)
class Settings:
    """What ``DJTASKS`` says, with the defaults for what it leaves out."""

    DATABASE: str = _setting("default", _accepted(_check_alias), "the alias of the database that holds the queue")
    LEASE_SECONDS: float = _setting(30.0, _number(1), "how long a reservation holds unless its worker renews it")
    POLL_SECONDS: float = _setting(1.0, _number(0.001), "how often an idle worker looks for messages by itself")
    MAX_DELIVERIES: int = _setting(3, _number(1, whole=True), "how many lost workers a late-acknowledged message takes")
    MAX_PAYLOAD_BYTES: int = _setting(1_048_576, _number(1, whole=True), "the largest args, kwargs or result")
    UNKNOWN_TASK_GRACE: float = _setting(3600.0, _number(0), "seconds that a message waits for a worker with its task")
    NOTIFY: bool | str = _setting("auto", _choice("auto", True, False), "wake idle workers at once (PostgreSQL)")
    PREPARED_STATEMENTS: bool = _setting(True, _flag, "prepare the statements of the queue; not behind every pooler")

    TASK_ACKS_LATE: bool = _setting(False, _flag, "acknowledge when a task ends instead of when it begins")
    TASK_ACKS_ON_FAILURE: bool = _setting(True, _flag, "acknowledge a late-acknowledged task that failed")
    # Celery's default is False; here a late-acknowledged task is meant to be run again.
    TASK_REJECT_ON_WORKER_LOST: bool = _setting(True, _flag, "deliver such a task again when its worker dies")
    TASK_DEFAULT_QUEUE: str = _setting("default", _accepted(check_queue_name), "the queue of tasks that name none")
    TASK_DEFAULT_PRIORITY: int = _setting(0, _accepted(check_priority), "from -100 to 100; higher runs first")
    TASK_IGNORE_RESULT: bool = _setting(False, _flag, "keep no results")
    TASK_STORE_ERRORS_EVEN_IF_IGNORED: bool = _setting(False, _flag, "keep failures even so")
    TASK_TRACK_STARTED: bool = _setting(False, _flag, "tell callers that a task has begun")
    TASK_ALWAYS_EAGER: bool = _setting(False, _flag, "run tasks in the caller, for tests")
    TASK_EAGER_PROPAGATES: bool = _setting(False, _flag, "raise what an eager task raises")
    TASK_STORE_EAGER_RESULT: bool = _setting(False, _flag, "keep the results of eager tasks")
    TASK_MAX_RETRIES: int | None = _setting(3, _number(0, whole=True, optional=True), "retries of a task; None: no end")
    TASK_DEFAULT_RETRY_DELAY: float = _setting(180, _number(0), "seconds before a retry that says nothing else")

    RESULT_EXPIRES: float | timedelta | None = _setting(  # noqa: RUF009, it makes a field
        86_400, _accepted(_check_duration), "seconds or timedelta until a result is deleted; 0 or None: never"
    )

    WORKER_CONCURRENCY: int | None = _setting(
        None, _number(1, whole=True, optional=True), "how many tasks a worker runs at a time; None: one per CPU"
    )
    WORKER_POOL: str = _setting(
        "processes", _choice("processes", "threads", "eventloop", "solo"), "where the bodies of tasks run"
    )
    WORKER_MAX_TASKS_PER_CHILD: int | None = _setting(
        None, _number(1, whole=True, optional=True), "replace a pool process after so many tasks"
    )
    WORKER_MAX_MEMORY_PER_CHILD: int | None = _setting(
        None, _number(1, whole=True, optional=True), "replace a pool process that holds more KiB after a task"
    )
    WORKER_GRACE_SECONDS: float = _setting(30.0, _number(0), "how long a stopping worker lets its tasks finish")
    WORKER_QUEUES: Sequence[str] | None = _setting(
        None, _accepted(_check_queues), "the queues that a worker serves; None: every queue"
    )

    @property
    def result_expires_seconds(self) -> float | None:
        """The seconds that a result is kept; None for ever."""
        given = self.RESULT_EXPIRES
        return (given.total_seconds() if isinstance(given, timedelta) else given) or None


@dataclass(frozen=True)
class Problem:
    """Something wrong in ``DJTASKS``: the system check that reports it, what it is, and the fix."""

    code: str
    text: str
    hint: str


def problems(raw: object) -> list[Problem]:
    """Return all that is wrong with a value of ``DJTASKS``."""
    if not isinstance(raw, Mapping):
        hint = 'Write DJTASKS = {"TASK_ACKS_LATE": True, …}, or leave it out for the defaults.'
        return [Problem("E001", f"DJTASKS is a dict, not {type(raw).__name__}.", hint)]
    return [problem for name, value in raw.items() if (problem := _problem(name, value))]


_FIELDS = {each.name: each for each in fields(Settings)}


def _problem(name: Any, value: Any) -> Problem | None:
    if name not in _FIELDS:
        return _unknown(str(name))
    setting = _FIELDS[name]
    if (complaint := setting.metadata["complaint"](value)) is None:
        return None
    too_short = name == "LEASE_SECONDS" and type(value) in (int, float)
    return Problem(
        "E009" if too_short else "E007",
        f"DJTASKS[{name!r}] = {_clipped(value)}: {complaint}.",
        f"{name}: {setting.metadata['doc']}. The default is {setting.default!r}.",
    )


# What Celery needs and a queue in the database does not; the first pattern that fits says why.
_NOT_NEEDED = {
    "RESULT_EXTENDED": "Results always keep the name, the arguments and the worker.",
    "RESULT_(SERIALIZER|ACCEPT_CONTENT|COMPRESSION)": "Results are JSON text; nothing else is ever read from a row.",
    "RESULT_(CHORD|PERSISTENT|EXCHANGE|CACHE).*": "Results are rows, and the last task of a chord starts its body.",
    "(RESULT_BACKEND|CACHE_BACKEND|DATABASE|REDIS|MONGODB|CASSANDRA)(_.*)?": "Results are rows in DATABASE.",
    "(TASK|EVENT)_SERIALIZER|ACCEPT_CONTENT": "Payloads are JSON text; nothing else is ever read from a row.",
    "BROKER_.*|.*VISIBILITY_TIMEOUT": "The broker is a table in DATABASE; workers renew their own leases.",
    "TASK_(COMPRESSION|PROTOCOL)|SECURITY_.*": "A message is a row of your own database.",
    "TASK_(PUBLISH_RETRY.*|DEFAULT_DELIVERY_MODE)": "A message is a row in the caller's transaction.",
    "TASK_DEFAULT_(EXCHANGE.*|ROUTING_KEY|QUEUE_TYPE)": "There are no exchanges: a message names its queue.",
    "WORKER_(PREFETCH_MULTIPLIER|DISABLE_PREFETCH)": "A worker reserves only what its free slots can run soon.",
    "WORKER_(STATE_DB|ENABLE_REMOTE_CONTROL)|CONTROL_.*": "Commands and revocations are rows that outlive workers.",
    "WORKER_SEND_TASK_EVENTS|TASK_SEND_SENT_EVENT|EVENT_.*": "There are no events to miss: the admin reads the rows.",
    "WORKER_(LOST_WAIT|CANCEL_LONG_RUNNING.*)": "A lost worker is known by its lease: LEASE_SECONDS.",
    "ENABLE_UTC": "Moments are always stored in UTC.",
    "BEAT_(SCHEDULER|SCHEDULE_FILENAME|SYNC_EVERY)": "Schedules are rows in DATABASE; run as many beats as you like.",
}


def _unknown(name: str) -> Problem:
    text = f"DJTASKS has no setting {_clipped(name)}."
    bare = name.upper().removeprefix("CELERY_").removeprefix("DJTASKS_")
    for pattern, reason in _NOT_NEEDED.items():
        if bare not in _FIELDS and re.fullmatch(pattern, bare):
            return Problem("E002", f"{text} {reason}", "Remove it.")
    near = get_close_matches(bare, _FIELDS, n=1)
    return Problem("E002", text, f"Did you mean {near[0]!r}?" if near else "Remove it, or see the list of settings.")


def _clipped(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


@cache
def _current() -> Settings:
    raw = getattr(django_settings, "DJTASKS", {})
    for problem in problems(raw):
        raise ImproperlyConfigured(f"{problem.text} {problem.hint}")
    return Settings(**raw)


class _CurrentSettings:
    """Reads from ``_current()`` on first use and keeps what it read on itself, where attribute access is cheapest."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(_current(), name)
        self.__dict__[name] = value
        return value


if TYPE_CHECKING:
    settings = Settings()
else:
    settings = _CurrentSettings()


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJTASKS":
        _current.cache_clear()
        vars(settings).clear()


setting_changed.connect(_forget, dispatch_uid="djtasks.conf")
