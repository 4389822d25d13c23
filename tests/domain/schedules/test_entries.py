"""What may stand in BEAT_SCHEDULE."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djtasks.conf import problems
from djtasks.domain.options import CALL_OPTIONS
from djtasks.domain.schedules.crontabs import crontab
from djtasks.domain.schedules.entries import FIELDS, check_entries, entry_of
from djtasks.domain.schedules.intervals import every

CALLED = sorted(CALL_OPTIONS)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def columns(**given: Any) -> dict[str, Any]:
    return dict(entry_of("name", {"task": "tasks.add", "schedule": 30, **given}).columns)


@pytest.mark.parametrize(
    ("given", "kind", "expression"),
    [
        (30, "interval", "30s"),
        (30.5, "interval", "30.5s"),
        (timedelta(hours=1), "interval", "1h"),
        (crontab(minute=0, hour="*/3", day_of_week="mon-fri"), "crontab", "0 */3 * * mon-fri"),
        ("*/5 * * * *", "crontab", "*/5 * * * *"),
        (crontab(day_of_month=13, day_of_week="fri", day_or=True), "cron", "* * 13 * fri"),
        (every(minutes=90), "interval", "1h30m"),
    ],
)
def test_schedule_is_a_rule_or_what_celery_takes_for_one(given: Any, kind: str, expression: str) -> None:
    found = columns(schedule=given)
    assert (found["kind"], found["expression"]) == (kind, expression)


def test_relative_interval_is_rounded() -> None:
    """BEAT-3."""
    assert columns(schedule=timedelta(hours=1), relative=True)["expression"] == "1h relative"


def test_options_become_columns() -> None:
    """BEAT-7."""
    options = {"queue": "q", "priority": 5, "expires": timedelta(minutes=1), "headers": {"a": 1}, "shadow": "s"}
    found = columns(options=options)
    assert (found["queue"], found["priority"], found["lifetime"]) == ("q", 5, 60.0)
    assert (found["headers"], found["options"]) == ({"a": 1}, {"shadow": "s"})


def test_zone_is_the_rules_unless_it_is_given() -> None:
    rule = crontab(tz="Europe/Paris", fold="both")
    assert (columns(schedule=rule)["timezone"], columns(schedule=rule)["fold"]) == ("Europe/Paris", "both")
    assert columns(schedule=rule, timezone="Asia/Tokyo")["timezone"] == "Asia/Tokyo"
    assert columns()["timezone"] == ""


def test_arguments_may_be_made_when_it_is_sent() -> None:
    """BEAT-9."""
    plain = entry_of("name", {"task": "tasks.add", "schedule": 30, "args": (1, 2), "kwargs": {"x": [3]}})
    assert (plain.is_lazy, plain.columns["args"], plain.columns["kwargs"]) == (False, [1, 2], {"x": [3]})
    counts = iter(range(10))
    some = entry_of("name", {"task": "tasks.add", "schedule": 30, "args": (1, lambda: next(counts))})
    assert (some.is_lazy, some.columns["args"]) == (True, [])
    assert [some.arguments()[0] for _ in range(2)] == [[1, 0], [1, 1]]
    whole = entry_of("name", {"task": "tasks.add", "schedule": 30, "args": lambda: (7,), "kwargs": lambda: {"y": 8}})
    assert whole.is_lazy and whole.arguments() == ([7], {"y": 8})


def test_signature_is_an_argument_like_any_other() -> None:
    """It can be called, and is not: the task that gets it decides when it runs."""

    class Callable(dict[str, Any]):
        name = "tasks.add"

        def __call__(self) -> None:
            raise AssertionError

    signature = Callable(task="tasks.add")
    entry = entry_of("name", {"task": "tasks.add", "schedule": 30, "args": (signature,), "kwargs": {"x": signature}})
    assert (entry.is_lazy, entry.columns["args"]) == (False, [{"task": "tasks.add"}])
    some = entry_of("name", {"task": "tasks.add", "schedule": 30, "args": (signature, lambda: 3)})
    assert some.arguments()[0] == [signature, 3]
    with pytest.raises(TypeError, match="task is a task or the name of one"):
        columns(task=signature)


def test_policies_are_kept_as_they_are_given() -> None:
    found = columns(missed="all", missed_limit=5, grace=timedelta(minutes=1), overlap="skip", jitter=3, end_at=NOON)
    assert (found["missed"], found["missed_limit"], found["grace"]) == ("all", 5, 60.0)
    assert (found["overlap"], found["jitter"], found["start_at"], found["end_at"]) == ("skip", 3.0, None, NOON)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.timedeltas()
values |= st.datetimes() | st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=5), values, max_size=2)


@given(st.dictionaries(st.sampled_from(FIELDS), values, max_size=5), st.dictionaries(st.sampled_from(CALLED), values))
def test_anything_is_an_entry_or_says_what_is_wrong(fields: dict[str, Any], options: dict[str, Any]) -> None:
    try:
        columns(**fields | ({"options": options} if options else {}))
    except (TypeError, ValueError) as error:
        assert str(error).startswith("schedule 'name': ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"task": ""}, "needs a task"),
        ({"schedule": None}, "needs a schedule"),
        ({"schedul": 3}, "did you mean 'schedule'"),
        ({"schedule": True}, "crontab, seconds, a timedelta"),
        ({"schedule": 0}, "needs a schedule"),
        ({"schedule": -1}, "at least"),
        ({"schedule": "* *"}, "five fields"),
        ({"args": "ab"}, "args is a list"),
        ({"kwargs": [1]}, "kwargs is a dict"),
        ({"task": len}, "task is a task or the name of one, not <built-in function len>"),
        ({"task": 5}, "task is a task or the name of one"),
        ({"options": {"task_id": "x"}}, "takes no option 'task_id': each message has an id of its own"),
        ({"options": {"eta": NOON}}, "takes no option 'eta': its slots say when"),
        ({"options": {"link": {}}}, "takes no option 'link': let the task send"),
        ({"options": {"countdwn": 3}}, "did you mean 'countdown'"),
        ({"options": {"exchange": "x"}}, "there are no exchanges; name the queue"),
        ({"options": {"countdown": "soon"}}, r"options\['countdown'\] is a number of seconds"),
        ({"options": {"time_limit": "long"}}, "a time limit is a number of seconds"),
        ({"options": {"expires": 0}}, r"options\['expires'\] is at least"),
        ({"options": {"headers": {1: 2}}}, "headers is a dict with str keys"),
        ({"options": [1]}, "options is a dict"),
        ({"options": {"expires": NOON}}, "end_at"),
        ({"options": {"priority": 1000}}, "between -100 and 100"),
        ({"options": {"queue": "a b"}}, "no name for a queue"),
        ({"missed": "often"}, "missed: expected one of 'skip', 'once', 'all', not 'often'"),
        ({"missed_limit": 0}, "missed_limit: expected an int of at least 1, not 0"),
        ({"overlap": "no"}, "overlap: expected one of"),
        ({"fold": "last"}, "fold: expected one of"),
        ({"enabled": "no"}, "enabled: expected True or False, not 'no'"),
        ({"one_off": None}, "one_off: expected True or False, not None"),
        ({"relative": 1}, "relative: expected True or False"),
        ({"description": None}, "description: expected a text, not None"),
        ({"start_at": "soon"}, "start_at: expected a datetime with a time zone, not 'soon'"),
        ({"end_at": NOON.replace(tzinfo=None)}, "end_at: expected a datetime with a time zone"),
        ({"grace": -1}, "grace is at least 0 seconds, not -1"),
        ({"jitter": None}, "jitter is a number of seconds"),
        ({"timezone": "Mars/X"}, "unknown time zone"),
        ({"jitter": "much"}, "jitter"),
    ],
    ids=str,
)
def test_fault_is_named_with_its_entry(given: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"schedule 'name': .*{said}"):
        columns(**given)


@pytest.mark.parametrize("value", [[], "text", {"name": 3}, {3: {"task": "a", "schedule": 3}}, {"n": {}}], ids=str)
def test_what_is_no_schedule_is_a_problem_of_the_settings(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        check_entries(value)
    assert [problem.code for problem in problems({"BEAT_SCHEDULE": value})] == ["E007"]
