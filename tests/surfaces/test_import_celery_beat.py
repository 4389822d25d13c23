"""``manage.py djtasks import_celery_beat``: the tables of django-celery-beat, new and old, become schedules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection, models

from djtasks.models import Schedule
from tests.beat.sentences import hourly, row
from tests.surfaces.conftest import Run, told

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = ("priority", "headers", "expire_seconds", "one_off", "start_time")


class Tables:
    """Its tables, without the columns that came later where they are old."""

    def __init__(self, *, old: bool = False) -> None:
        text, number = {"max_length": 200}, {"null": True}
        self.old = old
        task = {
            **{name: models.CharField(**text) for name in ("name", "task")},
            **{name: models.TextField(default=value) for name, value in (("args", "[]"), ("kwargs", "{}"))},
            **{name: models.CharField(**text, null=True) for name in ("queue", "exchange", "routing_key")},
            **{f"{name}_id": models.IntegerField(**number) for name in ("crontab", "interval", "solar", "clocked")},
            **{name: models.DateTimeField(**number) for name in ("expires", "last_run_at", "start_time")},
            **{name: models.IntegerField(**number) for name in ("priority", "expire_seconds")},
            "headers": models.TextField(default="{}"),
            "one_off": models.BooleanField(default=False),
            "enabled": models.BooleanField(default=True),
            "total_run_count": models.IntegerField(default=0),
            "description": models.TextField(default=""),
        }
        if old:
            for name in LATER:
                del task[name]
        names = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year", "timezone")
        self.crontab = self._model("crontabschedule", {name: models.CharField(**text, default="*") for name in names})
        every = {"every": models.IntegerField(), "period": models.CharField(**text)}
        self.interval = self._model("intervalschedule", every)
        place = {name: models.DecimalField(max_digits=9, decimal_places=6) for name in ("latitude", "longitude")}
        self.solar = self._model("solarschedule", {"event": models.CharField(**text), **place})
        self.clocked = self._model("clockedschedule", {"clocked_time": models.DateTimeField()})
        self.task = self._model("periodictask", task)
        self.all = (self.crontab, self.interval, self.solar, self.clocked, self.task)

    def _model(self, name: str, fields: dict[str, Any]) -> Any:
        meta = type("Meta", (), {"apps": Apps(), "app_label": "tests", "db_table": f"django_celery_beat_{name}"})
        return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})

    def periodic(self, name: str, rule: Any = None, **given: Any) -> None:
        if rule is not None:
            rule.save()
            given[f"{type(rule).__name__.removesuffix('schedule')}_id"] = rule.pk
        self.task(**{"name": name, "task": "tests.tasks.add", "args": "[1, 2]", **given}).save()


@pytest.fixture(params=["new", "old"])
def tables(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Tables]:
    made = Tables(old=request.param == "old")
    with connection.schema_editor() as editor:
        for model in made.all:
            editor.create_model(model)
    yield made
    with connection.schema_editor() as editor:
        for model in made.all:
            editor.delete_model(model)


def test_each_kind_is_carried_over(run: Run, tables: Tables) -> None:
    tables.periodic(
        "crontab", tables.crontab(minute="*/5", hour="8-18", day_of_week="mon-fri", timezone="Europe/Paris")
    )
    tables.periodic("interval", tables.interval(every=90, period="minutes"))
    tables.periodic("solar", tables.solar(event="sunset", latitude="48.856600", longitude="2.352200"))
    tables.periodic("clocked", tables.clocked(clocked_time=NOON))
    report = told(run, "import_celery_beat")
    assert report["made"] == ["crontab", "interval", "solar", "clocked"] and not report["refused"]
    rules = {each.name: (each.kind, each.expression, each.timezone) for each in Schedule.objects.all()}
    assert rules == {
        "crontab": ("crontab", "*/5 8-18 * * mon-fri", "Europe/Paris"),
        "interval": ("interval", "1h30m", ""),
        "solar": ("solar", "sunset 48.8566 2.3522", ""),
        "clocked": ("clocked", "2026-11-25T12:00:00+00:00", ""),
    }
    assert {(each.task, each.source, *each.args) for each in Schedule.objects.all()} == {("tests.tasks.add", "", 1, 2)}


def test_all_that_it_says_is_carried_over(run: Run, tables: Tables) -> None:
    """BEAT-7."""
    said: dict[str, Any] = {"kwargs": '{"x": 1}', "queue": "sums", "expires": NOON, "enabled": False}
    said |= {"total_run_count": 7, "last_run_at": NOON, "description": "of sums", "routing_key": "key"}
    newer = {"priority": 3, "headers": '{"a": 1}', "expire_seconds": 60, "one_off": True, "start_time": NOON}
    tables.periodic("all", tables.interval(every=1, period="days"), **said, **({} if tables.old else newer))
    report = told(run, "import_celery_beat")
    assert report["notes"] == {"all": ["routing_key 'key' is left out: a message names its queue"]}
    found = row("all")
    assert (found.kwargs, found.queue, found.end_at, found.enabled) == ({"x": 1}, "sums", NOON, False)
    assert (found.runs, found.last_run_at, found.description) == (7, NOON, "of sums")
    carried = (found.priority, found.headers, found.lifetime, found.one_off, found.start_at)
    assert carried == ((None, {}, None, False, None) if tables.old else (3, {"a": 1}, 60, True, NOON))


@pytest.mark.parametrize("tables", ["new"], indirect=True)
def test_what_cannot_be_carried_over_is_reported_and_harms_no_other(run: Run, tables: Tables) -> None:
    day = tables.interval(every=1, period="days")
    tables.periodic("celery.backend_cleanup", tables.crontab(), task="celery.backend_cleanup")
    tables.periodic("no rule")
    tables.periodic("seventh day", tables.crontab(day_of_week="7", timezone="UTC"))
    tables.periodic("mars", tables.crontab(timezone="Mars/X"))
    tables.periodic("no json", day, args="[1,")
    tables.periodic("no list", day, args='{"a": 1}')
    tables.periodic("gone", interval_id=4711)
    tables.periodic("sound", day)
    tables.periodic("unknown", day, task="nobody.knows")
    report = told(run, "import_celery_beat")
    assert report["made"] == ["sound", "unknown"] and "not registered here" in report["notes"]["unknown"][0]
    said = {
        "celery.backend_cleanup": "not needed",
        "no rule": "has 0 of interval",
        "seventh day": "write 0 or sun",
        "mars": "unknown time zone",
        "no json": "args are no JSON",
        "no list": "no JSON list",
        "gone": "interval 4711 is not there",
    }
    assert {name: said[name] in reason for name, reason in report["refused"].items()} == dict.fromkeys(said, True)
    status, out, _ = run("import_celery_beat")
    assert status == 0 and "mars: NOT carried over: unknown time zone" in out
    assert out.splitlines()[-1] == "0 made, 0 changed, 2 left as they are, 7 not carried over"


@pytest.mark.parametrize("tables", ["new"], indirect=True)
def test_schedules_that_are_there_are_left_unless_they_are_to_be_changed(run: Run, tables: Tables) -> None:
    hourly("sums", args=[3, 4])
    tables.periodic("sums", tables.interval(every=2, period="hours"))
    assert told(run, "import_celery_beat", "--update", "--dry-run")["changed"] == ["sums"]
    assert told(run, "import_celery_beat")["kept"] == ["sums"]
    assert (row("sums").expression, row("sums").args) == ("1h", [3, 4])
    assert told(run, "import_celery_beat", "--update")["changed"] == ["sums"]
    assert (row("sums").expression, row("sums").args) == ("2h", [1, 2])


def test_without_its_tables_it_says_where_they_might_be(run: Run) -> None:
    status, _, err = run("import_celery_beat")
    assert status == 1 and "has no table django_celery_beat_" in err and "--database" in err
    status, _, err = run("import_celery_beat", "--database=nowhere")
    assert status == 1 and "there is no database 'nowhere'" in err
    assert json.dumps(list(Schedule.objects.all())) == "[]"
