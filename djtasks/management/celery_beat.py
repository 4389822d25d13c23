"""Schedules of django-celery-beat: its tables are read, whether or not that app is still there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.apps.registry import Apps
from django.db import connections, models, transaction

from djtasks.beat.moments import for_row, from_row
from djtasks.conf import settings
from djtasks.domain.schedules.crontabs import crontab
from djtasks.domain.schedules.intervals import schedule as interval
from djtasks.domain.schedules.moments import clocked
from djtasks.domain.schedules.rules import Rule
from djtasks.domain.schedules.sun import solar
from djtasks.management.report import Report
from djtasks.models import Schedule
from djtasks.tasks import registry

PREFIX = "django_celery_beat_"
# Results are purged by workers here.
NOT_NEEDED = "celery.backend_cleanup"

_text, _number, _moment, _flag = models.TextField, models.BigIntegerField, models.DateTimeField, models.BooleanField
_TABLES: dict[str, dict[str, type[models.Field[Any, Any]]]] = {
    "crontabschedule": dict.fromkeys(
        ("minute", "hour", "day_of_week", "day_of_month", "month_of_year", "timezone"), _text
    ),
    "intervalschedule": {"every": _number, "period": _text},
    "solarschedule": {"event": _text, "latitude": models.FloatField, "longitude": models.FloatField},
    "clockedschedule": {"clocked_time": _moment},
    "periodictask": {
        **dict.fromkeys(("name", "task", "args", "kwargs", "headers", "queue", "description"), _text),
        **dict.fromkeys(("exchange", "routing_key"), _text),
        **dict.fromkeys(("crontab_id", "interval_id", "solar_id", "clocked_id"), _number),
        **dict.fromkeys(("priority", "expire_seconds", "total_run_count"), _number),
        **dict.fromkeys(("expires", "start_time", "last_run_at"), _moment),
        **dict.fromkeys(("enabled", "one_off"), _flag),
    },
}
_RULES = {"crontab_id": "crontabschedule", "interval_id": "intervalschedule", "solar_id": "solarschedule"}
_RULES["clocked_id"] = "clockedschedule"

Row = Mapping[str, Any]


@dataclass
class Import:
    """What became of each of its periodic tasks."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, text: str) -> None:
        """Say what was not carried over of one that was."""
        self.notes.setdefault(name, []).append(text)


def imported(alias: str | None, *, dry: bool, update: bool) -> Report:
    """Make schedules of all periodic tasks that are there; one that cannot be carried over harms no other."""
    alias = alias or settings.DATABASE
    if alias not in connections:
        raise ValueError(f"there is no database {alias!r}: write one of {', '.join(connections)}")
    tables = {name: _rows(alias, name) for name in _TABLES}
    rules = {column: {row["id"]: row for row in tables[table]} for column, table in _RULES.items()}
    done = Import()
    with transaction.atomic(using=settings.DATABASE):
        for row in tables["periodictask"]:
            name = str(row["name"])
            try:
                with transaction.atomic(using=settings.DATABASE):
                    _carry_over(row, rules, done, update)
            except (TypeError, ValueError) as error:
                done.refused[name] = str(error)
        if dry:
            transaction.set_rollback(True, using=settings.DATABASE)
    return _report(done, dry)


def _rows(alias: str, name: str) -> list[Row]:
    """Read a table, as far as its version has the columns."""
    connection, table = connections[alias], PREFIX + name
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            raise ValueError(f"the database {alias!r} has no table {table}: name another with --database")
        there = {column.name for column in connection.introspection.get_table_description(cursor, table)}
    columns = {column: kind(null=True) for column, kind in _TABLES[name].items() if column in there}
    meta = type("Meta", (), {"apps": Apps(), "app_label": "djtasks", "db_table": table, "managed": False})
    model: Any = type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **columns})
    return list(model._base_manager.using(alias).order_by("pk").values("id", *columns))


def _carry_over(row: Row, rules: Mapping[str, Mapping[int, Row]], done: Import, update: bool) -> None:
    name = str(row["name"])
    if row["task"] == NOT_NEEDED:
        done.refused[name] = "not needed: workers delete results whose time is over"
        return
    known = Schedule.objects.using(settings.DATABASE).filter(name=name).first()
    if known and (known.source or not update):
        done.kept.append(name)
        return
    schedule = known or Schedule(name=name)
    schedule.set_rule(_rule(row, rules))
    for column, value in _columns(row).items():
        setattr(schedule, column, value)
    schedule.save(using=settings.DATABASE)
    history = {"runs": row.get("total_run_count") or 0, "last_run_at": _kept(row.get("last_run_at"))}
    Schedule.objects.using(settings.DATABASE).filter(pk=schedule.pk).update(**history)
    (done.changed if known else done.made).append(name)
    for column in ("exchange", "routing_key"):
        if row.get(column):
            done.note(name, f"{column} {row[column]!r} is left out: a message names its queue")
    if registry.find(row["task"]) is None:
        done.note(name, f"the task {row['task']!r} is not registered here: it will fail until it is")


def _rule(row: Row, rules: Mapping[str, Mapping[int, Row]]) -> Rule:
    named = {column: row[column] for column in _RULES if row.get(column) is not None}
    if len(named) != 1:
        raise ValueError(f"it has {len(named)} of interval, crontab, solar and clocked, and needs one")
    ((column, key),) = named.items()
    found = rules[column].get(key)
    if found is None:
        raise ValueError(f"its {column.removesuffix('_id')} {key} is not there")
    match column:
        case "interval_id":
            return interval(timedelta(**{str(found["period"]): found["every"]}))
        case "solar_id":
            return solar(found["event"], float(found["latitude"]), float(found["longitude"]))
        case "clocked_id":
            return clocked(from_row(found["clocked_time"]))
    fields = {name: found[name] for name in ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")}
    return crontab(**fields, tz=found.get("timezone") or "UTC")


def _columns(row: Row) -> dict[str, Any]:
    columns = {
        "task": row["task"],
        "args": _json(row, "args", list),
        "kwargs": _json(row, "kwargs", dict),
        "headers": _json(row, "headers", dict),
        "queue": row.get("queue") or "",
        "priority": row.get("priority"),
        "lifetime": row.get("expire_seconds"),
        "end_at": _kept(row.get("expires")),
        "start_at": _kept(row.get("start_time")),
        "one_off": bool(row.get("one_off")),
        "enabled": bool(row["enabled"]),
        "description": row.get("description") or "",
    }
    return columns


def _json(row: Row, name: str, kind: type) -> Any:
    text = row.get(name)
    try:
        value = json.loads(text) if text else kind()
    except ValueError as error:
        raise ValueError(f"its {name} are no JSON: {error}") from None
    if not isinstance(value, kind):
        raise TypeError(f"its {name} are no JSON {'list' if kind is list else 'object'}")
    return value


def _kept(moment: Any) -> Any:
    return moment and for_row(from_row(moment))


def _report(done: Import, dry: bool) -> Report:
    data = {
        "made": done.made,
        "changed": done.changed,
        "kept": done.kept,
        "notes": done.notes,
        "refused": done.refused,
        "dry_run": dry,
    }
    return Report(data, "\n".join(_lines(done, dry)))


def _lines(done: Import, dry: bool) -> Iterator[str]:
    would = "would be " if dry else ""
    for names, word in ((done.made, f"{would}made"), (done.changed, f"{would}changed"), (done.kept, "left as it is")):
        for name in names:
            yield f"{name}: {word}"
            yield from (f"  {note}" for note in done.notes.get(name, ()))
    for name, reason in done.refused.items():
        yield f"{name}: NOT carried over: {reason}"
    counts = (len(done.made), len(done.changed), len(done.kept), len(done.refused))
    yield "{} {}made, {} changed, {} left as they are, {} not carried over".format(counts[0], would, *counts[1:])
