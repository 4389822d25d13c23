"""The options of a task and of a call: names, defaults, and what to say to a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Any

from djtasks.domain.identifiers import check_priority, check_queue_name
from djtasks.exceptions import ImproperlyConfigured

# What a task may be declared with (TASK-1).
TASK_OPTIONS = frozenset(
    {
        "queue",
        "priority",
        "max_retries",
        "default_retry_delay",
        "autoretry_for",
        "dont_autoretry_for",
        "retry_kwargs",
        "retry_backoff",
        "retry_backoff_max",
        "retry_jitter",
        "expires",
        "ignore_result",
        "store_errors_even_if_ignored",
        "acks_late",
        "acks_on_failure",
        "reject_on_worker_lost",
        "max_deliveries",
        "track_started",
        "trail",
        "throws",
        "typing",
        "headers",
    }
)

_FLAGS = (
    "retry_jitter",
    "ignore_result",
    "store_errors_even_if_ignored",
    "acks_late",
    "acks_on_failure",
    "reject_on_worker_lost",
    "track_started",
    "trail",
    "typing",
)

# What retry() takes, and so what retry_kwargs may hold.
RETRY_OPTIONS = frozenset({"countdown", "eta", "max_retries", "queue", "priority", "args", "kwargs", "throw", "exc"})

CALL_OPTIONS = frozenset(
    {
        "task_id",
        "countdown",
        "eta",
        "expires",
        "queue",
        "priority",
        "ignore_result",
        "acks_late",
        "headers",
        "shadow",
        "add_to_parent",
        "exist_ok",
        "root_id",
        "parent_id",
    }
)

# Celery's options that have no meaning where the broker is a table, and what to do instead.
_MEANINGLESS = {
    "exchange": "there are no exchanges; name the queue: queue=…",
    "routing_key": "there are no routing keys; name the queue: queue=…",
    "serializer": "arguments are JSON with tagged values for dates, Decimal, UUID, bytes and sets; leave it out",
    "compression": "arguments are rows of your own database; leave it out",
    "connection": "the message joins the transaction of the database that DJTASKS['DATABASE'] names; leave it out",
    "producer": "the message joins the transaction of the database that DJTASKS['DATABASE'] names; leave it out",
    "publisher": "the message joins the transaction of the database that DJTASKS['DATABASE'] names; leave it out",
    "retry": "a database error is raised at once and rolls back with the caller; leave it out",
    "retry_policy": "a database error is raised at once and rolls back with the caller; leave it out",
    "delivery_mode": "every message is a committed row; leave it out",
    "mandatory": "every message is a committed row; leave it out",
    "immediate": "every message is a committed row; leave it out",
    "reply_to": "results are rows; read them with AsyncResult(id)",
    "backend": "results are rows of the database that DJTASKS['DATABASE'] names; leave it out",
    "argsrepr": "arguments are kept as they are; leave it out",
    "kwargsrepr": "arguments are kept as they are; leave it out",
    "resultrepr_maxsize": "results are kept as they are; leave it out",
    "send_events": "there are no events to send: the admin reads the rows; leave it out",
    "abstract": "a base class is any subclass of Task that is given as base=…; leave it out",
    "acks_on_failure_or_timeout": "say it for failures alone: acks_on_failure=…",
    "app": "there is no app object: Django's settings and its app registry are the app; leave it out",
}


def check_names(given: Iterable[str], known: Iterable[str], where: str, error: type[Exception] = TypeError) -> None:
    """Raise ``error`` for an option that does not exist, with the nearest right name or what to do instead."""
    for name in given:
        if name in known:
            continue
        if name in _MEANINGLESS:
            raise error(f"{where} takes no option {name!r}: {_MEANINGLESS[name]}")
        near = difflib.get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(sorted(known))}"
        raise error(f"{where} takes no option {name!r}{hint}")


def check_task_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured for a task option that cannot work."""
    where = f"task {name!r}"
    try:
        for key, check in _CHECKS.items():
            if options[key] is not None:
                check(options[key])
        check_names(options["retry_kwargs"] or {}, RETRY_OPTIONS, "retry_kwargs")
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{where}: {error}") from None
    for key in ("autoretry_for", "dont_autoretry_for", "throws"):
        classes = options[key]
        if isinstance(classes, type) or not all(_is_exception(item) for item in classes):
            raise ImproperlyConfigured(f"{where}: {key} is a tuple of exception classes, not {classes!r}")
    for key, least in (("max_retries", 0), ("max_deliveries", 1), ("default_retry_delay", 0), ("retry_backoff_max", 0)):
        value = options[key]
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < least):
            raise ImproperlyConfigured(f"{where}: {key} is a number from {least}, not {value!r}")
    for key in _FLAGS:
        if not isinstance(options[key], bool):
            raise ImproperlyConfigured(f"{where}: {key} is True or False, not {options[key]!r}")


def check_headers(headers: Mapping[str, Any]) -> None:
    """Raise TypeError for headers that are no dict with str keys."""
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
        raise TypeError(f"headers is a dict with str keys, not {headers!r:.80}")


def check_expires(expires: float | timedelta | datetime) -> None:
    """Raise TypeError or ValueError for what is neither a duration nor a moment."""
    if not isinstance(expires, datetime):
        seconds_of(expires, "expires")


def _check_backoff(factor: float) -> None:
    if not isinstance(factor, (int, float)) or not 0 <= factor < inf:
        raise TypeError(f"retry_backoff is True, False or a number of seconds, not {factor!r}")


def _check_retry_kwargs(given: Mapping[str, Any]) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"retry_kwargs is a dict of arguments of retry(), not {given!r:.80}")


_CHECKS: dict[str, Callable[[Any], object]] = {
    "queue": check_queue_name,
    "priority": check_priority,
    "expires": check_expires,
    "headers": check_headers,
    "retry_backoff": _check_backoff,
    "retry_kwargs": _check_retry_kwargs,
}


def _is_exception(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseException)


def seconds_of(value: float | timedelta, name: str) -> float:
    """Read a duration given as seconds or timedelta."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds or a timedelta, not {value!r}")
    if value != value or abs(value) > 100 * 366 * 86400:
        raise ValueError(f"{name} of {value!r} seconds is beyond a hundred years")
    return float(value)


def epoch_of(moment: datetime, name: str, use_tz: bool, default_zone: Any) -> float:
    """Read a moment as seconds since the epoch; a naive one is refused where the project uses time zones."""
    if not isinstance(moment, datetime):
        raise TypeError(f"{name} is a datetime, not {moment!r}")
    if moment.utcoffset() is None:
        if use_tz:
            raise ValueError(
                f"{name} {moment!r} is naive, so the moment that it means is not known: give it a time zone, "
                "for example django.utils.timezone.make_aware(moment), or use countdown"
            )
        moment = moment.replace(tzinfo=default_zone)
    if not 1970 <= moment.year <= 9998:
        raise ValueError(f"{name} {moment.isoformat()} is out of range: the years 1970 to 9998")
    return moment.timestamp()
