"""The options of a task and of a call: names, defaults, and what to say to a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Any

from djtasks.domain.identifiers import check_priority, check_queue_name, check_task_name
from djtasks.domain.rates import rate_of
from djtasks.exceptions import ImproperlyConfigured

TAG_LENGTH = 128

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
        "acks_on_timeout",
        "reject_on_worker_lost",
        "max_deliveries",
        "time_limit",
        "soft_time_limit",
        "rate_limit",
        "track_started",
        "trail",
        "throws",
        "typing",
        "headers",
        "tags",
        "aliases",
        "pydantic",
        "pydantic_strict",
        "pydantic_context",
        "pydantic_dump_kwargs",
        "sensitive",
        "schedulable",
    }
)

_FLAGS = (
    "retry_jitter",
    "ignore_result",
    "store_errors_even_if_ignored",
    "acks_late",
    "acks_on_failure",
    "acks_on_timeout",
    "reject_on_worker_lost",
    "track_started",
    "trail",
    "typing",
    "pydantic",
    "pydantic_strict",
    "schedulable",
)

# What a route of TASK_ROUTES may say.
ROUTE_OPTIONS = frozenset({"queue", "priority", "expires", "time_limit", "soft_time_limit", "acks_late"})

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
        "time_limit",
        "soft_time_limit",
        "headers",
        "stamped_headers",
        "tags",
        "shadow",
        "argsrepr",
        "kwargsrepr",
        "add_to_parent",
        "exist_ok",
        "root_id",
        "parent_id",
        "group_id",
        "link",
        "link_error",
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
        check_values(options)
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


def check_values(options: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError for an option whose value cannot be meant; None always can."""
    for key, value in options.items():
        if value is not None and key in _CHECKS:
            _CHECKS[key](value)


def check_headers(headers: Mapping[str, Any]) -> None:
    """Raise TypeError for headers that are no dict with str keys."""
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
        raise TypeError(f"headers is a dict with str keys, not {headers!r:.80}")


def check_tags(tags: Iterable[str]) -> None:
    """Raise TypeError or ValueError for what are no short texts in a tuple or list."""
    if not isinstance(tags, (tuple, list, set, frozenset)):
        raise TypeError(f"tags is a tuple of texts, not {tags!r:.80}")
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a text, not {tag!r:.80}")
        if not 0 < len(tag) <= TAG_LENGTH or not tag.isprintable():
            raise ValueError(f"a tag has 1 to {TAG_LENGTH} printable characters, unlike {tag!r:.80}")


def _check_aliases(aliases: Iterable[str]) -> None:
    if not isinstance(aliases, (tuple, list)):
        raise TypeError(f"aliases is a list of names, not {aliases!r:.80}")
    for name in aliases:
        check_task_name(name)


def _check_dict(given: Mapping[str, Any]) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"pydantic_context and pydantic_dump_kwargs are dicts, not {given!r:.80}")


def check_expires(expires: float | timedelta | datetime) -> None:
    """Raise TypeError or ValueError for what is neither a duration nor a moment."""
    if not isinstance(expires, datetime):
        seconds_of(expires, "expires")


def check_sensitive(sensitive: object) -> None:
    """Raise TypeError for what neither says "all" nor names arguments."""
    names = sensitive if isinstance(sensitive, (list, tuple, set, frozenset)) else ()
    if not (isinstance(sensitive, bool) or (names and all(isinstance(name, str) for name in names))):
        raise TypeError(f"sensitive is True, False or a list of names of arguments, not {sensitive!r:.80}")


def check_representation(text: object, name: str) -> None:
    """Raise TypeError for what cannot be shown in the place of arguments."""
    if not isinstance(text, str):
        raise TypeError(f"{name} is a text, not {type(text).__name__}")


def _check_backoff(factor: float) -> None:
    if not isinstance(factor, (int, float)) or not 0 <= factor < inf:
        raise TypeError(f"retry_backoff is True, False or a number of seconds, not {factor!r}")


def _check_retry_kwargs(given: Mapping[str, Any]) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"retry_kwargs is a dict of arguments of retry(), not {given!r:.80}")


def check_time_limit(seconds: float) -> None:
    """Raise TypeError or ValueError for what is no number of seconds above zero."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a time limit is a number of seconds, not {seconds!r:.80}")
    if not 0 < seconds < inf:
        raise ValueError(f"a time limit of {seconds!r} seconds leaves no time")


def check_limits(soft: float | None, hard: float | None) -> None:
    """Raise ValueError where the soft limit does not come before the hard one (CALL-6)."""
    if soft is not None and hard is not None and soft > hard:
        raise ValueError(f"soft_time_limit={soft:g} is above time_limit={hard:g}: the soft one has to come first")


_CHECKS: dict[str, Callable[[Any], object]] = {
    "time_limit": check_time_limit,
    "soft_time_limit": check_time_limit,
    "rate_limit": rate_of,
    "queue": check_queue_name,
    "priority": check_priority,
    "expires": check_expires,
    "headers": check_headers,
    "tags": check_tags,
    "aliases": _check_aliases,
    "pydantic_context": _check_dict,
    "pydantic_dump_kwargs": _check_dict,
    "sensitive": check_sensitive,
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
