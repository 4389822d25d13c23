"""The one dict ``settings.DJTASKS``: typed defaults, what is wrong with it, and cheap access."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from djtasks.domain.annotations import check_annotations
from djtasks.domain.celery import NOT_NEEDED, SAID_OTHERWISE
from djtasks.domain.complaints import (
    Complaint,
    accepted,
    check_alias,
    check_duration,
    check_log_format,
    check_modules,
    check_queues,
    choice,
    flag,
    number,
)
from djtasks.domain.identifiers import check_priority, check_queue_name
from djtasks.domain.pools import check_autoscale, check_pool_for
from djtasks.domain.rates import rate_of
from djtasks.domain.routes import routers_of
from djtasks.domain.schedules.entries import check_entries
from djtasks.domain.schedules.zones import zone_named
from djtasks.exceptions import ImproperlyConfigured


def _setting(default: Any, complaint: Complaint, doc: str) -> Any:
    return field(default=default, metadata={"complaint": complaint, "doc": doc})


@dataclass(frozen=True)
class Settings:
    """What ``DJTASKS`` says, with the defaults for what it leaves out."""

    DATABASE: str = _setting("default", accepted(check_alias), "the alias of the database that holds the queue")
    LEASE_SECONDS: float = _setting(30.0, number(1), "how long a reservation holds unless its worker renews it")
    POLL_SECONDS: float = _setting(1.0, number(0.001), "how often an idle worker looks for messages by itself")
    MAX_DELIVERIES: int = _setting(3, number(1, whole=True), "how many lost workers a late-acknowledged message takes")
    MAX_PAYLOAD_BYTES: int = _setting(1_048_576, number(1, whole=True), "the largest args, kwargs or result")
    UNKNOWN_TASK_GRACE: float = _setting(3600.0, number(0), "seconds that a message waits for a worker with its task")
    PRIORITY_AGEING_SECONDS: float | None = _setting(
        None, number(1, optional=True), "after so long a message goes before those of higher priority"
    )
    NOTIFY: bool | str = _setting("auto", choice("auto", True, False), "wake idle workers at once (PostgreSQL)")
    PREPARED_STATEMENTS: bool | str = _setting(
        "auto", choice("auto", True, False), "prepare the statements of the queue; auto: unless behind a pooler"
    )

    IMPORTS: Sequence[str] = _setting((), accepted(check_modules), "modules with tasks, beside the apps' own")
    INCLUDE: Sequence[str] = _setting((), accepted(check_modules), "more of them, by Celery's other name")

    TASK_ACKS_LATE: bool = _setting(False, flag, "acknowledge when a task ends instead of when it begins")
    TASK_ACKS_ON_FAILURE: bool = _setting(True, flag, "acknowledge a late-acknowledged task that failed")
    # Celery's default is False; here a late-acknowledged task is meant to be run again.
    TASK_REJECT_ON_WORKER_LOST: bool = _setting(True, flag, "deliver such a task again when its worker dies")
    TASK_ACKS_ON_TIMEOUT: bool = _setting(True, flag, "acknowledge such a task that ran into its time limit")
    TASK_SOFT_TIME_LIMIT: float | None = _setting(
        None, number(0.001, optional=True), "seconds until SoftTimeLimitExceeded is raised in a body"
    )
    # Celery's is None; here a body that hangs for ever does not hold its slot for ever (A7).
    TASK_TIME_LIMIT: float | None = _setting(
        86_400.0, number(0.001, optional=True), "seconds until a body is ended; None: never"
    )
    TASK_DEFAULT_RATE_LIMIT: float | str | None = _setting(
        None, accepted(rate_of), "how often a worker begins each task: 10/s, 10/m, 10/h"
    )
    TASK_DEFAULT_QUEUE: str = _setting("default", accepted(check_queue_name), "the queue of tasks that name none")
    TASK_DEFAULT_PRIORITY: int = _setting(0, accepted(check_priority), "from -100 to 100; higher runs first")
    TASK_ROUTES: Any = _setting(  # noqa: RUF009, it makes a field
        None, accepted(routers_of), "which queue and priority tasks have, by their names"
    )
    TASK_QUEUES: Sequence[str] | None = _setting(
        None, accepted(check_queues), "the queues there are, where TASK_CREATE_MISSING_QUEUES is off"
    )
    TASK_CREATE_MISSING_QUEUES: bool = _setting(True, flag, "send to any queue, also to one that TASK_QUEUES lacks")
    TASK_ANNOTATIONS: Any = _setting(  # noqa: RUF009, it makes a field
        None, accepted(check_annotations), "options and hooks laid over tasks by name"
    )
    TASK_INHERIT_PARENT_PRIORITY: bool = _setting(False, flag, "tasks sent in a task have its priority")
    TASK_IGNORE_RESULT: bool = _setting(False, flag, "keep no results")
    TASK_STORE_ERRORS_EVEN_IF_IGNORED: bool = _setting(False, flag, "keep failures even so")
    TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER: bool = _setting(False, flag, "errbacks of a chord are also its header's")
    TASK_TRACK_STARTED: bool = _setting(False, flag, "tell callers that a task has begun")
    TASK_ALWAYS_EAGER: bool = _setting(False, flag, "run tasks in the caller, for tests")
    TASK_EAGER_PROPAGATES: bool = _setting(False, flag, "raise what an eager task raises")
    TASK_STORE_EAGER_RESULT: bool = _setting(False, flag, "keep the results of eager tasks")
    TASK_MAX_RETRIES: int | None = _setting(3, number(0, whole=True, optional=True), "retries of a task; None: no end")
    TASK_DEFAULT_RETRY_DELAY: float = _setting(180, number(0), "seconds before a retry that says nothing else")
    TASK_SCHEDULABLE: bool = _setting(True, flag, "people may choose tasks in the admin: for schedules, and to send")

    TIMEZONE: str | None = _setting(
        None, accepted(zone_named, optional=True), "the zone in which schedules are read; None: Django's TIME_ZONE"
    )
    BEAT_SCHEDULE: Mapping[str, Any] | None = _setting(
        None, accepted(check_entries, optional=True), "schedules by their names, in Celery's format"
    )
    BEAT_MAX_LOOP_INTERVAL: float = _setting(
        2.0, number(0.05), "how often a beat looks for schedules that were changed behind its back"
    )
    BEAT_CRON_STARTING_DEADLINE: float | None = _setting(
        None, number(1, optional=True), "how late a run may be, where its schedule says nothing else"
    )
    BEAT_SLOTS_EXPIRE: float | timedelta | None = _setting(  # noqa: RUF009, it makes a field
        604_800,
        accepted(check_duration),
        "seconds or timedelta until the record of a slot is deleted; 0 or None: never",
    )

    RESULT_EXPIRES: float | timedelta | None = _setting(  # noqa: RUF009, it makes a field
        86_400, accepted(check_duration), "seconds or timedelta until a result is deleted; 0 or None: never"
    )

    WORKER_CONCURRENCY: int | None = _setting(
        None, number(1, whole=True, optional=True), "how many tasks a worker runs at a time; None: one per CPU"
    )
    WORKER_POOL: str = _setting(
        "processes",
        choice("processes", "threads", "eventloop", "solo", "prefork", "asyncio"),
        "where the bodies of tasks run; prefork and asyncio are Celery's words for the first and the third",
    )
    WORKER_POOL_FOR: Mapping[str, str] | None = _setting(
        None, accepted(check_pool_for, optional=True), 'queues with pools of their own: {"media": "threads:8"}'
    )
    WORKER_AUTOSCALE: tuple[int, int] | None = _setting(
        None, accepted(check_autoscale), "the most and the least slots of a pool that grows and shrinks"
    )
    WORKER_MAX_TASKS_PER_CHILD: int | None = _setting(
        None, number(1, whole=True, optional=True), "replace a pool process after so many tasks"
    )
    WORKER_MAX_MEMORY_PER_CHILD: int | None = _setting(
        None, number(1, whole=True, optional=True), "replace a pool process that holds more KiB after a task"
    )
    WORKER_DISABLE_RATE_LIMITS: bool = _setting(False, flag, "heed no rate limits")
    WORKER_SOFT_SHUTDOWN_TIMEOUT: float = _setting(
        0.0, number(0), "seconds that a worker told to stop at once lets its tasks finish all the same"
    )
    WORKER_GRACE_SECONDS: float = _setting(30.0, number(0), "how long a stopping worker lets its tasks finish")
    WORKER_LOG_FORMAT: str = _setting(
        "[%(asctime)s: %(levelname)s/%(process)d] %(message)s",
        accepted(check_log_format),
        'the lines of the worker\'s own log; or "json"',
    )
    WORKER_TASK_LOG_FORMAT: str = _setting(
        "[%(asctime)s: %(levelname)s/%(process)d] %(task_name)s[%(task_id)s] attempt %(attempt)s: %(message)s",
        accepted(check_log_format),
        "what is logged in a task",
    )
    WORKER_QUEUES: Sequence[str] | None = _setting(
        None, accepted(check_queues), "the queues that a worker serves; None: every queue"
    )

    @property
    def result_expires_seconds(self) -> float | None:
        """The seconds that a result is kept; None for ever."""
        return _seconds_of(self.RESULT_EXPIRES)

    @property
    def slots_expire_seconds(self) -> float | None:
        """The seconds that the record of a slot is kept; None for ever."""
        return _seconds_of(self.BEAT_SLOTS_EXPIRE)


def _seconds_of(given: float | timedelta | None) -> float | None:
    return (given.total_seconds() if isinstance(given, timedelta) else given) or None


@dataclass(frozen=True)
class Problem:
    """Something wrong in ``DJTASKS``: the system check that reports it, what it is, and the fix."""

    code: str
    text: str
    hint: str

    @property
    def is_harmless(self) -> bool:
        """Whether everything works all the same, as with a setting that only Celery needs."""
        return self.code.startswith("W")


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


def _unknown(name: str) -> Problem:
    text = f"DJTASKS has no setting {_clipped(name)}."
    bare = name.upper().removeprefix("CELERY_").removeprefix("DJTASKS_")
    if bare not in _FIELDS:
        for code, reasons in (("E002", SAID_OTHERWISE), ("W002", NOT_NEEDED)):
            for pattern, reason in reasons.items():
                if re.fullmatch(pattern, bare):
                    return Problem(code, f"{text} {reason}", "Remove it.")
    near = get_close_matches(bare, _FIELDS, n=1)
    return Problem("E002", text, f"Did you mean {near[0]!r}?" if near else "Remove it, or see the list of settings.")


def _clipped(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


@cache
def _current() -> Settings:
    raw = getattr(django_settings, "DJTASKS", {})
    for problem in problems(raw):
        if not problem.is_harmless:
            raise ImproperlyConfigured(f"{problem.text} {problem.hint}")
    return Settings(**{name: value for name, value in raw.items() if name in _FIELDS})


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
