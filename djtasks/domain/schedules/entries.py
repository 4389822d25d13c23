"""Schedules that are declared in code: Celery's entries of ``BEAT_SCHEDULE``, and what stands beside a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from djtasks.domain.complaints import Complaint, accepted, choice, flag, number
from djtasks.domain.identifiers import check_priority, check_queue_name, check_task_name
from djtasks.domain.options import CALL_OPTIONS, check_headers, check_names, check_values, seconds_of
from djtasks.domain.schedules.catching_up import MISSED, OVERLAPS
from djtasks.domain.schedules.crontabs import crontab
from djtasks.domain.schedules.intervals import schedule
from djtasks.domain.schedules.rules import FIRST, FOLDS, Rule
from djtasks.domain.schedules.zones import zone_name

# Every message would have the same, or only a caller can give it.
NOT_TAKEN = {
    **dict.fromkeys(("task_id", "exist_ok"), "each message has an id of its own; leave it out"),
    **dict.fromkeys(("group_id", "parent_id", "root_id"), "nothing stands above its messages; leave it out"),
    **dict.fromkeys(("link", "link_error"), "let the task send what is to follow it"),
    "eta": "its slots say when; countdown puts them off",
}
_OPTIONS = CALL_OPTIONS - set(NOT_TAKEN)

# What a row holds beside its task, its rule and what is in its messages, and what it is where nothing is said.
POLICIES: dict[str, Any] = {
    "description": "",
    "one_off": False,
    "start_at": None,
    "end_at": None,
    "missed": MISSED[1],
    "missed_limit": 100,
    "grace": None,
    "overlap": OVERLAPS[0],
    "jitter": 0.0,
}
FIELDS = ("task", "schedule", "args", "kwargs", "options", "relative", "enabled", "timezone", "fold", *POLICIES)

Factory = Callable[[], Any]


@dataclass(frozen=True)
class Entry:
    """A schedule as its code declares it: what is written into its row, and arguments that are made when it is sent."""

    name: str
    columns: Mapping[str, Any]
    enabled: bool
    args: Any
    kwargs: Any

    @property
    def is_lazy(self) -> bool:
        """Whether some of its arguments are made when it is sent (BEAT-9)."""
        if _is_factory(self.args) or _is_factory(self.kwargs):
            return True
        return any(map(_is_factory, [*self.args, *self.kwargs.values()]))

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Make the arguments of a message."""
        args, kwargs = _made(self.args), _made(self.kwargs)
        return [_made(each) for each in args], {name: _made(each) for name, each in kwargs.items()}


def check_entries(value: Any) -> None:
    """Raise TypeError or ValueError for what is no dict of names and entries."""
    if not isinstance(value, Mapping):
        raise TypeError("expected a dict of the names of schedules and what each is")
    for name, given in value.items():
        entry_of(name, given)


def entry_of(name: str, given: Mapping[str, Any]) -> Entry:
    """Read an entry; raises TypeError or ValueError that names the entry, and what is wrong with it."""
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise ValueError(f"a schedule's name is a text of up to 200 characters, not {name!r:.80}")
    try:
        return _read(name, given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"schedule {name!r}: {error}") from None


def _read(name: str, given: Mapping[str, Any]) -> Entry:
    if not isinstance(given, Mapping):
        raise TypeError(f"expected a dict with a task and a schedule, not {given!r:.80}")
    _check_fields(given)
    rule = _rule(given["schedule"], given.get("relative", False))
    args, kwargs = given.get("args") or (), given.get("kwargs") or {}
    if not _is_factory(args) and not isinstance(args, (list, tuple)):
        raise TypeError(f"args is a list or tuple, not {args!r:.80}")
    if not _is_factory(kwargs) and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs is a dict, not {kwargs!r:.80}")
    columns = {
        "task": _task(given["task"]),
        "kind": rule.kind,
        "expression": rule.expression,
        "timezone": zone_name(given.get("timezone")) or rule.timezone,
        "fold": given.get("fold") or getattr(rule, "fold", FIRST),
        **_options(given.get("options") or {}),
        **dict(_policies(given)),
    }
    entry = Entry(name, columns, given.get("enabled", True), args, kwargs)
    stored: tuple[Any, Any] = ([], {}) if entry.is_lazy else (list(args), dict(kwargs))
    columns |= {"args": stored[0], "kwargs": stored[1], "lazy": entry.is_lazy}
    return entry


def _check_fields(given: Mapping[str, Any]) -> None:
    for field, value in given.items():
        if field not in FIELDS:
            near = get_close_matches(str(field), FIELDS, n=1)
            raise ValueError(
                f"there is no field {field!r:.80}; {f'did you mean {near[0]!r}?' if near else 'leave it out'}"
            )
        if field in _COMPLAINTS and (said := _COMPLAINTS[field](value)):
            raise ValueError(f"{field}: {said}, not {value!r:.80}")
    for field in ("task", "schedule"):
        if not given.get(field):
            raise ValueError(f"it needs a {field}")


def _task(given: Any) -> str:
    # What Django's own tasks call their name is the function's alone.
    name = given if isinstance(given, str) else getattr(given, "module_path", getattr(given, "name", None))
    # A signature has a name, too, and arguments that would be lost.
    if not isinstance(name, str) or isinstance(given, Mapping):
        raise TypeError(f"task is a task or the name of one, not {given!r:.80}")
    return check_task_name(name)


def _rule(given: Any, relative: bool) -> Rule:
    if isinstance(given, Rule):
        return given
    if isinstance(given, str):
        return crontab.from_string(given)
    if isinstance(given, (int, float, timedelta)) and not isinstance(given, bool):
        return schedule(given, relative)
    raise TypeError(f"a schedule is a crontab, seconds, a timedelta or one of the other rules, not {given!r:.80}")


def _options(given: Any) -> dict[str, Any]:
    """Divide the options of the call into columns and the rest."""
    if not isinstance(given, Mapping):
        raise TypeError(f"options is a dict, not {given!r:.80}")
    options = dict(given)
    check_headers(headers := options.pop("headers", None) or {})
    queue, priority, lifetime = (options.pop(option, None) for option in ("queue", "priority", "expires"))
    if isinstance(lifetime, datetime):
        raise ValueError("options['expires'] is a number of seconds or a timedelta; for a moment write end_at")
    check_options(options)
    check_values(options)
    seconds_of(options.get("countdown") or 0, "options['countdown']")
    return {
        "queue": check_queue_name(queue) if queue else "",
        "priority": None if priority is None else check_priority(priority),
        "headers": dict(headers),
        "lifetime": None if lifetime is None else _seconds("options['expires']", lifetime, least=0.001),
        "options": options,
    }


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError for options that the messages of a schedule cannot have."""
    for option in options:
        if option in NOT_TAKEN:
            raise ValueError(f"a schedule takes no option {option!r}: {NOT_TAKEN[option]}")
    check_names(map(str, options), _OPTIONS, "a schedule", ValueError)


def _policies(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field, usual in POLICIES.items():
        value = given.get(field, usual)
        if field == "jitter" or (field == "grace" and value is not None):
            value = _seconds(field, value)
        yield field, value


def _seconds(field: str, value: Any, least: float = 0.0) -> float:
    seconds = seconds_of(value, field)
    if seconds < least:
        raise ValueError(f"{field} is at least {least:g} seconds, not {value!r:.80}")
    return seconds


def _check_text(value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError("expected a text")


def _check_moment(value: Any) -> None:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise TypeError("expected a datetime with a time zone")


_COMPLAINTS: dict[str, Complaint] = {
    "relative": flag,
    "enabled": flag,
    "one_off": flag,
    "description": accepted(_check_text),
    "fold": choice(*FOLDS),
    "start_at": accepted(_check_moment, optional=True),
    "end_at": accepted(_check_moment, optional=True),
    "missed": choice(*MISSED),
    "missed_limit": number(1, whole=True),
    "overlap": choice(*OVERLAPS),
}


def _is_factory(value: Any) -> bool:
    # A signature can be called, but is data: the task that gets it decides when it runs.
    return callable(value) and not isinstance(value, Mapping)


def _made(value: Any) -> Any:
    return value() if _is_factory(value) else value
