"""``manage.py djtasks import_celery_beat``: the tables of django-celery-beat, new and old, become schedules."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.apps.registry import Apps
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from djtasks.management.celery_beat import imported
from djtasks.management.celery_tables import COLUMNS, TASKS
from djtasks.models import Message, Schedule
from tests.beat.sentences import HOUR, beat_once, change_by_sql, close, hourly, let_come_due, now, row
from tests.surfaces.conftest import Run, told

pytestmark = pytest.mark.django_db(transaction=True)
GUIDE = Path(__file__).parents[2] / "docs" / "coming-from-celery.md"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FAR = datetime(2100, 1, 1, tzinfo=UTC)

# What its versions do not have yet.
LACKING = {
    "1.0": {
        "timezone": "crontabschedule",
        **dict.fromkeys(("solar_id", "clocked_id", "priority", "headers", "one_off", "start_time"), "periodictask"),
        "expire_seconds": "periodictask",
    },
    "1.5": {"expire_seconds": "periodictask"},
    "2.9": {},
}
NEWEST = pytest.mark.parametrize("tables", ["2.9"], indirect=True)


class Tables:
    """Its tables, as one of its versions has them."""

    def __init__(self, version: str) -> None:
        self.version = version
        text, number = {"max_length": 240}, {"null": True}
        names = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
        self.crontab = self._model(
            "crontabschedule",
            **{name: models.CharField(**text, default="*") for name in names},
            timezone=models.CharField(**text, default="UTC"),
        )
        self.interval = self._model("intervalschedule", every=models.IntegerField(), period=models.CharField(**text))
        place = {name: models.DecimalField(max_digits=9, decimal_places=6) for name in ("latitude", "longitude")}
        self.solar = self._model("solarschedule", event=models.CharField(**text), **place)
        self.clocked = self._model("clockedschedule", clocked_time=models.DateTimeField())
        self.task = self._model(
            "periodictask",
            **{name: models.TextField() for name in ("name", "task")},
            **{name: models.TextField(default=value) for name, value in (("args", "[]"), ("kwargs", "{}"))},
            **{name: models.CharField(**text, null=True) for name in ("queue", "exchange", "routing_key")},
            **{f"{name}_id": models.IntegerField(**number) for name in ("crontab", "interval", "solar", "clocked")},
            **{name: models.DateTimeField(**number) for name in ("expires", "last_run_at", "start_time")},
            **{name: models.IntegerField(**number) for name in ("priority", "expire_seconds")},
            headers=models.TextField(default="{}", **number),
            one_off=models.BooleanField(default=False),
            enabled=models.BooleanField(default=True),
            total_run_count=models.IntegerField(default=0),
            date_changed=models.DateTimeField(auto_now=True),
            description=models.TextField(default=""),
        )
        self.all = [self.crontab, self.interval, self.task]
        if version != "1.0":
            self.all += [self.solar, self.clocked]

    def _model(self, table: str, /, **fields: Any) -> Any:
        lacking = LACKING[self.version]
        fields = {field: kind for field, kind in fields.items() if lacking.get(field) != table}
        meta = type("Meta", (), {"apps": Apps(), "app_label": "tests", "db_table": f"django_celery_beat_{table}"})
        return type(table, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})

    def periodic(self, name: str, rule: Any = None, **given: Any) -> None:
        if rule is not None:
            rule.save()
            given[f"{type(rule).__name__.removesuffix('schedule')}_id"] = rule.pk
        self.task(**{"name": name, "task": "tests.tasks.add", "args": "[1, 2]", **given}).save()

    def daily(self, name: str, **given: Any) -> None:
        self.periodic(name, self.interval(every=1, period="days"), **given)

    def change(self, name: str, **changes: Any) -> None:
        self.task.objects.filter(name=name).update(**changes)


@pytest.fixture(params=LACKING)
def tables(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Tables]:
    made = Tables(request.param)
    with connection.schema_editor() as editor:
        for model in made.all:
            editor.create_model(model)
    yield made
    with connection.schema_editor() as editor:
        for model in made.all:
            editor.delete_model(model)


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def refused(run: Run, *arguments: str) -> dict[str, str]:
    """Import, and return why some could not be carried over."""
    status, out, err = run("import_celery_beat", *arguments, "--json")
    reasons: dict[str, str] = json.loads(out)["refused"]
    assert status == 1 and f"{len(reasons)} of the periodic tasks could not be carried over" in err
    return reasons


def rules() -> dict[str, tuple[str, str, str]]:
    return {each.name: (each.kind, each.expression, each.timezone) for each in Schedule.objects.all()}


# What is carried over


@pytest.mark.parametrize("tables", ["1.5", "2.9"], indirect=True)
def test_each_kind_is_carried_over(run: Run, tables: Tables) -> None:
    tables.periodic(
        "crontab", tables.crontab(minute="*/5", hour="8-18", day_of_week="mon-fri", timezone="Europe/Paris")
    )
    tables.periodic("interval", tables.interval(every=90, period="minutes"))
    tables.periodic("solar", tables.solar(event="sunset", latitude="48.856600", longitude="2.352200"))
    tables.periodic("clocked", tables.clocked(clocked_time=FAR), one_off=True)
    report = told(run, "import_celery_beat")
    assert report["made"] == ["crontab", "interval", "solar", "clocked"]
    assert not report["refused"] and not report["notes"]
    assert rules() == {
        "crontab": ("crontab", "*/5 8-18 * * mon-fri", "Europe/Paris"),
        "interval": ("interval", "1h30m", ""),
        "solar": ("solar", "sunset 48.8566 2.3522", ""),
        "clocked": ("clocked", "2100-01-01T00:00:00+00:00", ""),
    }
    assert {(each.task, each.source, *each.args) for each in Schedule.objects.all()} == {("tests.tasks.add", "", 1, 2)}
    assert Schedule.objects.filter(enabled=True).count() == 4


def test_all_that_it_says_is_carried_over(run: Run, tables: Tables) -> None:
    """BEAT-7."""
    said: dict[str, Any] = {"kwargs": '{"x": 1}', "queue": "sums", "expires": NOON, "enabled": False}
    said |= {"total_run_count": 7, "last_run_at": NOON, "description": "of sums", "routing_key": "key"}
    newer = {"priority": 3, "headers": '{"a": 1}', "expire_seconds": 60, "one_off": True, "start_time": NOON}
    newer = {name: value for name, value in newer.items() if name not in LACKING[tables.version]}
    tables.daily("all", **said, **newer)
    report = told(run, "import_celery_beat")
    assert report["notes"] == {"all": ["routing_key 'key' is left out: a message names its queue"]}
    found = row("all")
    assert (found.kwargs, found.queue, found.end_at, found.enabled) == ({"x": 1}, "sums", NOON, False)
    assert (found.runs, found.last_run_at, found.description) == (7, NOON, "of sums")
    carried = (found.priority, found.headers, found.one_off, found.start_at, found.lifetime)
    newest = (3, {"a": 1}, True, NOON, 60)
    assert carried == {"1.0": (None, {}, False, None, None), "1.5": (*newest[:4], None), "2.9": newest}[tables.version]


@pytest.mark.parametrize("tables", ["1.0"], indirect=True)
@pytest.mark.parametrize(("given", "zone"), [({}, "UTC"), ({"TIMEZONE": "Asia/Kolkata"}, "Asia/Kolkata")])
def test_crontab_of_before_there_were_zones_is_read_in_that_of_celery(
    run: Run, tables: Tables, settings: Any, given: dict[str, str], zone: str
) -> None:
    settings.DJTASKS = given
    tables.periodic("nightly", tables.crontab(hour="3"))
    report = told(run, "import_celery_beat")
    assert rules() == {"nightly": ("crontab", "* 3 * * *", zone)}
    assert report["notes"] == {"nightly": [f"its crontab has no zone of its own, and is read in {zone}, as Celery did"]}


@NEWEST
def test_zones_do_not_count_where_it_was_told_to_go_by_celerys(run: Run, tables: Tables, settings: Any) -> None:
    settings.DJANGO_CELERY_BEAT_TZ_AWARE = False
    tables.periodic("nightly", tables.crontab(hour="3", timezone="Europe/Paris"))
    told(run, "import_celery_beat")
    assert rules() == {"nightly": ("crontab", "* 3 * * *", "UTC")}


@NEWEST
def test_weekdays_have_the_numbers_that_they_had(run: Run, tables: Tables) -> None:
    """BEAT-4: Sunday is 0."""
    tables.periodic("sundays", tables.crontab(minute="0", hour="12", day_of_week="0"))
    tables.periodic("weekend", tables.crontab(minute="0", hour="12", day_of_week="6-1"))
    assert told(run, "import_celery_beat")["made"] == ["sundays", "weekend"]
    assert row("sundays").next_run_at.weekday() == 6
    assert row("weekend").rule.next_after(NOON, NOON).weekday() == 5


@NEWEST
def test_arguments_that_celery_wrote_with_their_types_are_read(run: Run, tables: Tables) -> None:
    def typed(kind: str, value: Any) -> dict[str, Any]:
        return {"__type__": kind, "__value__": value}

    identity = UUID(int=7)
    args = [typed("datetime", NOON.isoformat()), typed("uuid", {"hex": identity.hex}), typed("decimal", "1.50")]
    tables.daily("typed", args=json.dumps(args), kwargs=json.dumps({"day": [typed("date", "2026-11-25")]}))
    tables.daily("empty", args="null", kwargs="", headers=None)
    told(run, "import_celery_beat")
    assert row("typed").args == [NOON, identity, Decimal("1.50")] and row("typed").kwargs == {
        "day": [date(2026, 11, 25)]
    }
    assert (row("empty").args, row("empty").kwargs, row("empty").headers) == ([], {}, {})


@NEWEST
def test_priority_beyond_ours_becomes_the_highest(run: Run, tables: Tables) -> None:
    tables.daily("urgent", priority=255, expire_seconds=0)
    report = told(run, "import_celery_beat")
    assert report["notes"] == {"urgent": ["priority 255 becomes 100, the highest"]}
    # As Celery takes a 0.
    assert (row("urgent").priority, row("urgent").lifetime) == (100, None)


@NEWEST
def test_task_that_nobody_knows_is_carried_over_and_reported(run: Run, tables: Tables) -> None:
    tables.daily("unknown", task="nobody.knows", exchange="direct")
    report = told(run, "import_celery_beat")
    assert report["made"] == ["unknown"] and report["notes"] == {
        "unknown": [
            "exchange 'direct' is left out: a message names its queue",
            "the task 'nobody.knows' is not registered here: it will fail until it is",
        ]
    }


@NEWEST
def test_moments_without_a_zone_are_the_projects_own(run: Run, tables: Tables, settings: Any) -> None:
    """D11: without USE_TZ."""
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Kolkata"
    noon = NOON.replace(tzinfo=None) + timedelta(hours=5, minutes=30)
    tables.daily("daily", last_run_at=noon, expires=FAR.replace(tzinfo=None))
    tables.periodic("clocked", tables.clocked(clocked_time=noon))
    told(run, "import_celery_beat")
    assert (row("daily").last_run_at, row("daily").end_at) == (noon, FAR.replace(tzinfo=None))
    assert row("daily").next_run_at.time() == noon.time()
    assert row("clocked").expression == "2026-11-25T12:00:00+00:00"


# When they are due


@NEWEST
def test_nothing_is_sent_for_the_past(run: Run, tables: Tables) -> None:
    """D6."""
    tables.daily("never", last_run_at=None)
    tables.daily("overdue", last_run_at=NOON - 400 * DAY)
    tables.daily("begun", start_time=NOON - 400 * DAY)
    tables.periodic("minutely", tables.crontab(), last_run_at=NOON - 400 * DAY)
    tables.periodic("clocked", tables.clocked(clocked_time=NOON - 400 * DAY), one_off=True)
    before = now()
    told(run, "import_celery_beat")
    # A minute may begin between the import and here.
    minutely = row("minutely")
    assert minutely.next_run_at > before
    minutely.delete()
    assert not Schedule.objects.filter(next_run_at__lte=now()).exists()
    assert beat_once() == 0 and not Message.objects.exists()


@NEWEST
def test_intervals_go_on_from_their_last_run(run: Run, tables: Tables) -> None:
    last = now() - 23 * HOUR
    tables.daily("punctual", last_run_at=last)
    tables.daily("overdue", last_run_at=last - 2 * DAY)
    tables.daily("begun", last_run_at=last, start_time=NOON - 400 * DAY + 5 * HOUR)
    tables.daily("ahead", last_run_at=last + 100 * DAY), tables.daily("later", last_run_at=last, start_time=FAR)
    told(run, "import_celery_beat")
    assert {name: row(name).next_run_at - last for name in ("punctual", "overdue", "begun")} == {
        "punctual": DAY,
        "overdue": DAY,
        "begun": DAY,
    }
    assert row("later").next_run_at == FAR
    # A clock was wrong: it does not wait longer than an interval.
    assert close(row("ahead").next_run_at, now() + DAY)
    before = dict(Schedule.objects.values_list("name", "next_run_at"))
    assert beat_once() == 0 and dict(Schedule.objects.values_list("name", "next_run_at")) == before


@NEWEST
def test_interval_that_never_ran_waits_from_when_it_was_made(run: Run, tables: Tables) -> None:
    tables.daily("new"), tables.daily("later", start_time=FAR), tables.daily("begun", start_time=now() - HOUR)
    tables.task.objects.update(date_changed=now() - 20 * HOUR)
    told(run, "import_celery_beat")
    assert close(row("new").next_run_at, now() + 4 * HOUR)
    assert row("later").next_run_at == FAR
    assert close(row("begun").next_run_at, now() + 23 * HOUR)


@NEWEST
def test_what_has_run_or_is_over_is_disabled(run: Run, tables: Tables) -> None:
    """BEAT-7."""
    tables.daily("has run", one_off=True, total_run_count=1)
    tables.daily("ran and was disabled", one_off=True, enabled=False)
    tables.periodic("moment", tables.clocked(clocked_time=NOON - 400 * DAY), one_off=True)
    tables.daily("ended", expires=NOON - 400 * DAY)
    tables.daily("will run", one_off=True)
    # Its last run is so long ago that one more comes before the end.
    tables.daily("one more", last_run_at=now() - 23 * HOUR, expires=now() + 2 * HOUR)
    report = told(run, "import_celery_beat")
    over = ["disabled: it has no runs left"]
    assert report["notes"] == {"has run": over, "moment": over, "ended": over}
    assert set(Schedule.objects.filter(enabled=True).values_list("name", flat=True)) == {"will run", "one more"}


# What is refused


@NEWEST
def test_what_cannot_be_carried_over_is_reported_and_harms_no_other(run: Run, tables: Tables) -> None:
    day = tables.interval(every=1, period="days")
    tables.periodic("no rule")
    tables.periodic("two rules", day, crontab_id=1)
    tables.periodic("gone", interval_id=4711)
    tables.periodic("seventh day", tables.crontab(day_of_week="7"))
    tables.periodic("never", tables.crontab(day_of_month="30", month_of_year="2"))
    tables.periodic("mars", tables.crontab(timezone="Mars/X"))
    tables.periodic("too short", tables.interval(every=1, period="microseconds"))
    tables.periodic("too long", tables.interval(every=2_000_000_000, period="days"))
    tables.periodic("fortnights", tables.interval(every=1, period="fortnights"))
    tables.periodic("nowhere", tables.solar(event="sunset", latitude="148.8", longitude="2.3"))
    for name, given in {
        "no json": {"args": "[1,"},
        "no end": {"args": "[" * 100_000},
        "no list": {"args": '{"a": 1}'},
        "no dict": {"kwargs": "[1]"},
        "no headers": {"headers": '"x"'},
        "no number": {"args": "[NaN]"},
        "no type": {"args": '[{"__type__": "moon", "__value__": 1}]'},
        "no date": {"kwargs": '{"x": {"__type__": "date", "__value__": "31.12."}}'},
        "no queue": {"queue": "my queue"},
        "no task": {"task": " tests.tasks.add"},
        "low": {"priority": -1000},
        "n" * 201: {},
        "": {},
    }.items():
        tables.periodic(name, day, **given)
    tables.periodic("sound", day)
    said = {
        "no rule": "it has 0 of interval",
        "two rules": "it has 2 of interval",
        "gone": "its interval 4711 is not there",
        "seventh day": "day_of_week: 7 is not from 0 to 6; write 0 or sun",
        "never": "day_of_month 30 never comes",
        "mars": "unknown time zone",
        "too short": "an interval is at least",
        "too long": "no interval can have 2000000000 days",
        "fortnights": "its period is 'fortnights'",
        "nowhere": "latitude is from -90 to 90",
        "no json": "its args are no JSON: ",
        "no end": "its args are no JSON: ",
        "no list": "its args are no JSON list",
        "no dict": "its kwargs are no JSON object",
        "no headers": "its headers are no JSON object",
        "no number": "args[0] is nan",
        "no type": "its args are no JSON: ValueError: there is no type 'moon'",
        "no date": "its kwargs are no JSON: ValueError: Invalid isoformat",
        "no queue": "'my queue' is no name for a queue",
        "no task": "' tests.tasks.add' is no name for a task",
        "low": "a priority lies between",
        "n" * 201: "a schedule's name is a text of up to 200 characters, and this has 201",
        "": "a schedule's name is a text of up to 200 characters, and this has 0",
    }
    reasons = refused(run)
    assert {name: reason.startswith(said[name]) for name, reason in reasons.items()} == dict.fromkeys(said, True)
    assert list(rules()) == ["sound"]


@NEWEST
def test_sun_that_nobody_can_reckon_is_reported(run: Run, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """BEAT-6."""
    monkeypatch.setitem(sys.modules, "astral", None)
    tables.periodic("sunset", tables.solar(event="sunset", latitude="48.8", longitude="2.3"))
    assert refused(run) == {"sunset": "solar schedules need astral: pip install djtasks[solar]"}


@NEWEST
def test_moment_that_nobody_can_read_is_reported(run: Run, tables: Tables) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("other databases hold no such moments")
    for name in ("words", "no month", "long ago", "sound"):
        tables.daily(name)
    tables.periodic("clocked", tables.clocked(clocked_time=NOON))
    change = "UPDATE django_celery_beat_periodictask SET expires = '{}' WHERE name = '{}'"
    execute(change.format("soon", "words"))
    execute(change.format("2026-13-45 00:00:00", "no month"))
    execute(change.format("0001-01-01 00:00:00+14:00", "long ago"))
    execute("UPDATE django_celery_beat_clockedschedule SET clocked_time = '12 noon'")
    execute("UPDATE django_celery_beat_periodictask SET last_run_at = '2026-11-25' WHERE name = 'sound'")
    assert refused(run) == {
        "words": "its expires is no date and time: 'soon'",
        "no month": "its expires is no date and time: '2026-13-45 00:00:00'",
        "long ago": "its expires is no date and time: '0001-01-01 00:00:00+14:00'",
        "clocked": "its clocked_time is no date and time: '12 noon'",
    }
    assert row("sound").last_run_at == NOON - 12 * HOUR


@NEWEST
def test_row_that_the_database_refuses_is_reported_and_harms_no_other(run: Run, tables: Tables) -> None:
    for name, description in (("one", "same"), ("two", "same"), ("three", "")):
        tables.daily(name, description=description)
    execute("CREATE UNIQUE INDEX one_description ON djtasks_schedule (description)")
    try:
        assert list(refused(run)) == ["two"]
    finally:
        execute("DROP INDEX one_description")
    assert set(rules()) == {"one", "three"}


@NEWEST
def test_clean_up_of_results_is_not_needed(run: Run, tables: Tables) -> None:
    tables.periodic("celery.backend_cleanup", tables.crontab(hour="4"), task="celery.backend_cleanup")
    report = told(run, "import_celery_beat")
    assert report["not_needed"] == ["celery.backend_cleanup"] and not rules()


@NEWEST
def test_report_is_for_people_too(run: Run, tables: Tables) -> None:
    hourly("known")
    tables.daily("known"), tables.daily("sound", routing_key="key")
    tables.periodic("mars", tables.crontab(timezone="X"))
    tables.periodic("cleanup", task="celery.backend_cleanup"), tables.periodic("\x1b[2Jempty")
    status, out, err = run("import_celery_beat")
    assert status == 1 and "2 of the periodic tasks could not be carried over" in err
    assert out.splitlines() == [
        "sound: made",
        "  routing_key 'key' is left out: a message names its queue",
        "known: left as it is",
        "cleanup: not needed: workers delete results whose time is over",
        "mars: NOT carried over: unknown time zone 'X'; write one such as Europe/Paris or UTC",
        "\\x1b[2Jempty: NOT carried over: it has 0 of interval, crontab, solar and clocked, and needs one",
        "1 made, 0 changed, 1 left as they are, 2 not carried over",
    ]


# What is there already


@NEWEST
def test_second_import_changes_nothing(run: Run, tables: Tables) -> None:
    tables.daily("one"), tables.daily("other")
    told(run, "import_celery_beat")
    edited = row("one")
    edited.queue, edited.missed, edited.enabled = "sums", "skip", False
    edited.save()
    tables.change("other", queue="changed there")
    before = list(Schedule.objects.order_by("pk").values())
    report = told(run, "import_celery_beat")
    assert (report["kept"], report["made"], report["changed"]) == (["one", "other"], [], [])
    assert list(Schedule.objects.order_by("pk").values()) == before


@NEWEST
def test_update_changes_what_is_said_there_and_nothing_else(run: Run, tables: Tables) -> None:
    hourly("sums", args=[3, 4], missed="skip", overlap="one", jitter=5.0, options={"countdown": 1})
    tables.periodic("sums", tables.interval(every=2, period="hours"), queue="sums")
    assert told(run, "import_celery_beat", "--update")["changed"] == ["sums"]
    found = row("sums")
    assert (found.expression, found.args, found.queue) == ("2h", [1, 2], "sums")
    assert (found.missed, found.overlap, found.jitter, found.options) == ("skip", "one", 5.0, {"countdown": 1})


@NEWEST
def test_update_mends_what_was_broken(run: Run, tables: Tables) -> None:
    """D10."""
    hourly("sums")
    change_by_sql("sums", expression="whenever")
    assert beat_once() == 0 and row("sums").error and not row("sums").enabled
    tables.daily("sums", last_run_at=now() - HOUR)
    told(run, "import_celery_beat", "--update")
    assert (row("sums").error, row("sums").enabled) == ("", True)


@NEWEST
def test_update_does_not_undo_runs_that_were_made_here(run: Run, tables: Tables) -> None:
    """Neither what is told of them, nor when the next one is due."""
    tables.daily("daily", last_run_at=now() - 5 * HOUR, total_run_count=3), tables.daily("once", one_off=True)
    told(run, "import_celery_beat")
    Schedule.objects.update(next_run_at=now())
    assert beat_once() == 2
    before = list(Schedule.objects.order_by("pk").values())
    report = told(run, "import_celery_beat", "--update")
    assert report["notes"] == {"once": ["disabled: it has no runs left"]}
    assert list(Schedule.objects.order_by("pk").values()) == before
    assert (row("daily").runs, row("once").enabled) == (4, False)


@NEWEST
def test_update_leaves_a_run_that_is_due(run: Run, tables: Tables) -> None:
    tables.daily("daily")
    told(run, "import_celery_beat")
    let_come_due()
    told(run, "import_celery_beat", "--update")
    assert beat_once() == 1


@NEWEST
def test_update_goes_on_from_the_last_run_here_where_that_is_later(run: Run, tables: Tables) -> None:
    last = now() - 20 * HOUR
    tables.daily("daily", last_run_at=last)
    hourly("daily", enabled=False)
    Schedule.objects.update(last_run_at=last + 10 * HOUR, runs=9)
    told(run, "import_celery_beat", "--update")
    found = row("daily")
    assert (found.next_run_at, found.last_run_at, found.runs) == (last + 34 * HOUR, last + 10 * HOUR, 9)


@NEWEST
def test_it_writes_before_it_reads_and_locks_what_it_changes(tables: Tables) -> None:
    hourly("daily")
    tables.daily("daily")
    with CaptureQueriesContext(connection) as queries:
        imported(None, dry=False, update=True, disabled=False)
    ours = [each["sql"] for each in queries if "djtasks_schedule" in each["sql"]]
    assert [sql.split()[0] for sql in ours] == ["UPDATE", "SELECT", "UPDATE", "UPDATE"]
    assert ("FOR UPDATE" in ours[1]) == connection.features.has_select_for_update


@NEWEST
@pytest.mark.parametrize("update", [(), ("--update",)])
def test_what_is_declared_is_left_alone(run: Run, tables: Tables, settings: Any, update: tuple[str, ...]) -> None:
    """BEAT-8: also before a beat has brought it into the table."""
    settings.DJTASKS = {"BEAT_SCHEDULE": {"declared": {"task": "tests.tasks.add", "schedule": 60}}}
    hourly("by code", source="code")
    tables.daily("declared"), tables.daily("by code")
    report = told(run, "import_celery_beat", *update)
    assert report["kept"] == ["declared", "by code"]
    assert report["notes"] == {"declared": ["it is declared in the settings"], "by code": ["it is declared in code"]}
    assert rules() == {"by code": ("interval", "1h", "")}


# How it is told to go about it


@NEWEST
def test_dry_run_writes_nothing(run: Run, tables: Tables) -> None:
    hourly("sums")
    tables.daily("sums"), tables.daily("new"), tables.periodic("no rule")
    before = list(Schedule.objects.values())
    status, out, err = run("import_celery_beat", "--dry-run", "--update")
    assert status == 1 and "1 of the periodic tasks would not be carried over" in err
    assert "new: would be made" in out and "sums: would be changed" in out
    assert out.splitlines()[-1] == "1 would be made, 1 would be changed, 0 left as they are, 1 not carried over"
    assert list(Schedule.objects.values()) == before


@NEWEST
def test_project_imports_disabled_ones_and_switches_over(run: Run, tables: Tables) -> None:
    last = now() - 20 * HOUR
    tables.daily("on", last_run_at=last), tables.daily("off", enabled=False), tables.daily("once", one_off=True)
    told(run, "import_celery_beat", "--disabled")
    assert not Schedule.objects.filter(enabled=True).exists() and beat_once() == 0
    # Celery goes on meanwhile.
    tables.change("on", last_run_at=last + 19 * HOUR, total_run_count=1), tables.change("once", total_run_count=1)
    assert told(run, "import_celery_beat", "--update")["changed"] == ["on", "off", "once"]
    assert {each.name: each.enabled for each in Schedule.objects.all()} == {"on": True, "off": False, "once": False}
    assert (row("on").next_run_at, row("on").last_run_at) == (last + 43 * HOUR, last + 19 * HOUR)
    told(run, "import_celery_beat", "--update", "--disabled")
    assert not Schedule.objects.filter(enabled=True).exists()


@pytest.mark.parametrize("tables", ["1.0"], indirect=True)
def test_tables_that_came_later_may_be_missing(run: Run, tables: Tables) -> None:
    tables.daily("daily")
    assert told(run, "import_celery_beat")["made"] == ["daily"]


def test_without_its_tables_it_says_where_they_might_be(run: Run) -> None:
    status, out, err = run("import_celery_beat")
    assert (status, out) == (1, "") and "has no table django_celery_beat_periodictask" in err and "--database" in err
    status, _, err = run("import_celery_beat", "--database=nowhere")
    assert status == 1 and "there is no database 'nowhere'" in err
    assert not Schedule.objects.exists()


def test_guide_says_of_every_column_what_becomes_of_it() -> None:
    section = GUIDE.read_text().partition("**From django-celery-beat:**")[2].partition("\n## ")[0]
    cells = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    told = [name for there, _ in cells for name in re.findall(r"`(\w+)`", there)]
    assert sorted(told) == sorted(column.removesuffix("_id") for column in COLUMNS[TASKS])
    here = {name for _, text in cells for name in re.findall(r"`([a-z_]+)`", text.partition(";")[0])}
    assert here <= {field.name for field in Schedule._meta.get_fields()}
