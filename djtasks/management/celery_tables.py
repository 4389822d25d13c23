"""The tables of django-celery-beat, of whatever version, and what their rows say; nothing is written here."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps.registry import Apps
from django.conf import settings as django_settings
from django.db import connections, models
from django.db.models.functions import Cast
from django.utils import timezone

from djtasks.beat.moments import from_row
from djtasks.conf import settings
from djtasks.domain.identifiers import HIGHEST_PRIORITY
from djtasks.domain.schedules.crontabs import crontab
from djtasks.domain.schedules.intervals import schedule as interval
from djtasks.domain.schedules.moments import clocked
from djtasks.domain.schedules.rules import Rule
from djtasks.domain.schedules.sun import solar

PREFIX = "django_celery_beat_"
TASKS = "periodictask"

_text, _number, _moment, _flag = models.TextField, models.BigIntegerField, models.DateTimeField, models.BooleanField
COLUMNS: dict[str, dict[str, type[models.Field[Any, Any]]]] = {
    "crontabschedule": dict.fromkeys(
        ("minute", "hour", "day_of_week", "day_of_month", "month_of_year", "timezone"), _text
    ),
    "intervalschedule": {"every": _number, "period": _text},
    "solarschedule": {"event": _text, "latitude": models.FloatField, "longitude": models.FloatField},
    "clockedschedule": {"clocked_time": _moment},
    TASKS: {
        **dict.fromkeys(("name", "task", "args", "kwargs", "headers", "queue", "description"), _text),
        **dict.fromkeys(("exchange", "routing_key"), _text),
        **dict.fromkeys(("crontab_id", "interval_id", "solar_id", "clocked_id"), _number),
        **dict.fromkeys(("priority", "expire_seconds", "total_run_count"), _number),
        **dict.fromkeys(("expires", "start_time", "last_run_at", "date_changed"), _moment),
        **dict.fromkeys(("enabled", "one_off"), _flag),
    },
}
RULES = {
    "crontab_id": "crontabschedule",
    "interval_id": "intervalschedule",
    "solar_id": "solarschedule",
    "clocked_id": "clockedschedule",
}
_PERIODS = ("days", "hours", "minutes", "seconds", "microseconds")
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": lambda given: UUID(given["hex"]),
    "bytes": str.encode,
    "base64": b64decode,
}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Tables:
    """All their rows; of a table that their version does not have yet there are none."""

    tasks: Sequence[Row]
    rules: Mapping[str, Mapping[int, Row]]


@dataclass(frozen=True)
class PeriodicTask:
    """What one row says in our words, and what of it has none; moments are in UTC."""

    rule: Rule
    columns: Mapping[str, Any]
    enabled: bool
    runs: int
    last_run_at: datetime | None
    anchor: datetime | None
    notes: Sequence[str]


def read(alias: str) -> Tables:
    """Read the tables; raises ValueError where they are not there."""
    if alias not in connections:
        raise ValueError(f"there is no database {alias!r}: write one of {', '.join(connections)}")
    tasks = _rows(alias, TASKS)
    if tasks is None:
        raise ValueError(f"the database {alias!r} has no table {PREFIX}{TASKS}: name another with --database")
    rules = {column: {row["id"]: row for row in _rows(alias, table) or ()} for column, table in RULES.items()}
    return Tables(tasks, rules)


def understood(row: Row, rules: Mapping[str, Mapping[int, Row]]) -> PeriodicTask:
    """Say what a row means; raises TypeError or ValueError where that cannot be told."""
    notes: list[str] = []
    for column in ("exchange", "routing_key"):
        if row.get(column):
            notes.append(f"{column} {row[column]!r} is left out: a message names its queue")
    last_run_at, start_at = _moment_of(row, "last_run_at"), _moment_of(row, "start_time")
    columns = {
        "task": row["task"],
        "args": _json(row, "args", list),
        "kwargs": _json(row, "kwargs", dict),
        "headers": _json(row, "headers", dict),
        "queue": row.get("queue") or "",
        "priority": _priority(row.get("priority"), notes),
        # As Celery has it: none, where it says 0.
        "lifetime": row.get("expire_seconds") or None,
        "end_at": _moment_of(row, "expires"),
        "start_at": start_at,
        "one_off": bool(row.get("one_off")),
        "description": row.get("description") or "",
    }
    # One that never ran there waits a whole interval from when it was made, or changed.
    anchor = last_run_at or (None if start_at else _moment_of(row, "date_changed"))
    return PeriodicTask(
        rule=_rule(row, rules, notes),
        columns=columns,
        enabled=bool(row["enabled"]),
        runs=row["total_run_count"] or 0,
        last_run_at=last_run_at,
        anchor=anchor,
        notes=notes,
    )


def _rows(alias: str, name: str) -> list[Row] | None:
    """Read a table, as far as its version has the columns; return None where it does not have the table."""
    connection, table = connections[alias], PREFIX + name
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return None
        there = {column.name for column in connection.introspection.get_table_description(cursor, table)}
    columns = {column: kind(null=True) for column, kind in COLUMNS[name].items() if column in there}
    meta = type("Meta", (), {"apps": Apps(), "app_label": "djtasks", "db_table": table, "managed": False})
    model: Any = type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **columns})
    moments = {column for column in columns if COLUMNS[name][column] is _moment}
    # As text: what a driver cannot read as a moment would end the reading of all rows, or look like none.
    asked = [Cast(column, models.TextField()) if column in moments else column for column in columns]
    rows = [dict(zip(("id", *columns), found, strict=True)) for found in _found(model, alias, asked)]
    return [{**row, **{column: _as_moment(row[column], connection.timezone) for column in moments}} for row in rows]


def _found(model: Any, alias: str, asked: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
    return list(model._base_manager.using(alias).order_by("pk").values_list("id", *asked))


def _as_moment(text: str | None, zone: Any) -> datetime | str | None:
    """Return a moment in UTC, or the text as it is where it says none."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if zone is not None and timezone.is_naive(moment):
            moment = moment.replace(tzinfo=zone)
        return from_row(moment)
    except (OverflowError, ValueError):
        return text


def _moment_of(row: Row, name: str) -> datetime | None:
    moment = row.get(name)
    if isinstance(moment, str):
        raise ValueError(f"its {name} is no date and time: {moment!r:.80}")
    return moment


def _priority(given: Any, notes: list[str]) -> Any:
    """Return a priority of Celery's, which go up to 255."""
    if isinstance(given, int) and given > HIGHEST_PRIORITY:
        notes.append(f"priority {given} becomes {HIGHEST_PRIORITY}, the highest")
        return HIGHEST_PRIORITY
    return given


def _json(row: Row, name: str, kind: type) -> Any:
    text = row.get(name)
    try:
        value = json.loads(text, object_hook=_decoded) if text else None
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"its {name} are no JSON: {type(error).__name__}: {error!s:.200}") from None
    if value is None:
        value = kind()
    if not isinstance(value, kind):
        raise TypeError(f"its {name} are no JSON {'list' if kind is list else 'object'}")
    return value


def _decoded(given: dict[str, Any]) -> Any:
    """Return what Celery wrote with its type, as it does with moments and UUIDs."""
    if given.keys() != {"__type__", "__value__"}:
        return given
    if given["__type__"] not in _DECODERS:
        raise ValueError(f"there is no type {given['__type__']!r:.80}")
    return _DECODERS[given["__type__"]](given["__value__"])


def _rule(row: Row, rules: Mapping[str, Mapping[int, Row]], notes: list[str]) -> Rule:
    named = {column: row[column] for column in RULES if row.get(column) is not None}
    if len(named) != 1:
        raise ValueError(f"it has {len(named)} of interval, crontab, solar and clocked, and needs one")
    ((column, key),) = named.items()
    found = rules[column].get(key)
    if found is None:
        raise ValueError(f"its {column.removesuffix('_id')} {key} is not there")
    match column:
        case "interval_id":
            return _interval(found)
        case "solar_id":
            return solar(found["event"], float(found["latitude"]), float(found["longitude"]))
        case "clocked_id":
            return clocked(_moment_of(found, "clocked_time"))  # type: ignore[arg-type]
    fields = {name: found[name] for name in ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")}
    return crontab(**fields, tz=_zone(found, notes))


def _interval(found: Row) -> Rule:
    every, period = found["every"], found["period"]
    if period not in _PERIODS:
        raise ValueError(f"its period is {period!r:.80}, and none of {', '.join(_PERIODS)}")
    try:
        return interval(timedelta(**{period: every}))
    except OverflowError:
        raise ValueError(f"no interval can have {every} {period}") from None


def _zone(found: Row, notes: list[str]) -> str:
    """Return the zone of a crontab; before version 1.2, and where a setting said so, it went by Celery's."""
    if found.get("timezone") and getattr(django_settings, "DJANGO_CELERY_BEAT_TZ_AWARE", True):
        return str(found["timezone"])
    zone = settings.TIMEZONE or "UTC"
    notes.append(f"its crontab has no zone of its own, and is read in {zone}, as Celery did")
    return zone
