"""``manage.py djtasks schedule``: what it shows of schedules, and does with them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from djtasks.models import Message, Schedule, Slot
from tests.beat.sentences import HOUR, beat_once, change_by_sql, close, hourly, let_come_due, made, now, row
from tests.surfaces.conftest import Run, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_list_shows_all_of_them(run: Run) -> None:
    hourly(), made("nightly", kind="crontab", expression="0 3 * * *", timezone="Europe/Paris", enabled=False)
    broken = hourly("broken")
    change_by_sql("broken", expression="whenever")
    listed = {each["name"]: each for each in told(run, "schedule", "list")}
    assert (listed["hourly"]["rule"], listed["nightly"]["rule"]) == ("interval 1h", "crontab 0 3 * * * Europe/Paris")
    # Also before a beat has looked at it.
    assert close(datetime.fromisoformat(listed["hourly"]["next_run_at"]), now() + HOUR)
    assert listed["nightly"]["next_run_at"] == "" and listed["broken"]["error"]
    beat_once(), let_come_due("hourly"), beat_once()
    status, out, _ = run("schedule", "list")
    assert status == 0 and "hourly" in out and "whenever" in out
    assert {each["name"]: each["runs"] for each in told(run, "schedule", "list")}["hourly"] == 1
    assert broken.name in out


def test_list_of_nothing(run: Run) -> None:
    assert run("schedule", "list") == (0, "no schedules\n", "")


def test_next_shows_both_times(run: Run) -> None:
    """D4: the hour that is repeated."""
    made("nightly", kind="crontab", expression="30 2 * * *", timezone="Europe/Paris")
    Schedule.objects.update(since="2026-10-24T12:00:00Z")
    slots = told(run, "schedule", "next", "nightly", "-n", "2")["slots"]
    assert slots == ["2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"]
    status, out, _ = run("schedule", "next", "nightly", "-n", "2")
    lines = out.splitlines()
    assert status == 0 and lines[0].split() == ["Europe/Paris", "UTC"]
    assert lines[1].split("  ") == ["2026-10-25 02:30:00+02:00", "2026-10-25 00:30:00+00:00"]
    assert lines[2].split("  ") == ["2026-10-26 02:30:00+01:00", "2026-10-26 01:30:00+00:00"]


def test_next_of_one_that_is_disabled_says_so(run: Run) -> None:
    hourly(enabled=False)
    status, out, _ = run("schedule", "next", "hourly")
    assert status == 0 and "'hourly' is disabled" in out


def test_next_goes_on_from_the_slot_that_is_known(run: Run) -> None:
    hourly()
    beat_once(), let_come_due(ago=60)
    first, second = told(run, "schedule", "next", "hourly", "-n", "2")["slots"]
    assert datetime.fromisoformat(first) == row().next_run_at
    assert datetime.fromisoformat(second) - datetime.fromisoformat(first) == HOUR


def test_enable_and_disable(run: Run) -> None:
    """D6."""
    hourly("one"), hourly("other")
    assert run("schedule", "disable", "one", "other")[0] == 0
    assert not Schedule.objects.filter(enabled=True).exists()
    assert told(run, "schedule", "enable", "one") == {"enabled": ["one"]}
    beat_once()
    assert row("one").next_run_at > now() + timedelta(minutes=59) and not row("other").enabled


def test_run_sends_it_beside_its_slots(run: Run) -> None:
    hourly(queue="sums")
    sent = told(run, "schedule", "run", "hourly")
    message = Message.objects.get(pk=sent["id"])
    assert (message.task, message.args, message.queue) == ("tests.tasks.add", [1, 2], "sums")
    assert message.options["schedule"] == "hourly" and "slot" not in message.options
    assert not Slot.objects.exists() and row().runs == 0


def test_broken_one_can_be_disabled_and_not_enabled(run: Run) -> None:
    """D10."""
    hourly()
    change_by_sql("hourly", jitter=-1)
    assert run("schedule", "disable", "hourly")[0] == 0 and not row().enabled
    status, _, err = run("schedule", "enable", "hourly")
    assert status == 1 and "jitter" in err and not row().enabled


def test_enabling_what_is_enabled_changes_nothing(run: Run) -> None:
    hourly()
    beat_once(), let_come_due()
    before = row().next_run_at
    assert run("schedule", "enable", "hourly")[0] == 0
    assert row().next_run_at == before


def test_one_whose_arguments_other_code_makes_cannot_be_run(run: Run) -> None:
    """BEAT-9."""
    hourly(source="code", lazy=True)
    status, _, err = run("schedule", "run", "hourly")
    assert status == 1 and "made by code that this process does not have" in err
    assert not Message.objects.exists()


@pytest.mark.parametrize("deed", [("next",), ("enable",), ("disable",), ("run",)])
def test_unknown_name_is_an_error_that_helps(run: Run, deed: tuple[str, ...]) -> None:
    hourly()
    status, _, err = run("schedule", *deed, "hourlie")
    assert status == 1 and "there is no schedule 'hourlie'; did you mean 'hourly'?" in err


def test_nothing_is_switched_where_one_name_is_unknown(run: Run) -> None:
    hourly()
    assert run("schedule", "disable", "hourly", "nobody")[0] == 1
    assert row().enabled


@pytest.mark.parametrize("wrong", [("schedule",), ("schedule", "next"), ("schedule", "next", "x", "-n", "0")])
def test_wrong_usage(run: Run, wrong: tuple[str, ...]) -> None:
    assert run(*wrong)[0] == 2
