"""Which slot is the first: whoever makes, changes or enables a schedule, and however, nothing is due for the past."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from djtasks.beat.tick import tick
from djtasks.broker.vendors import Vendor
from djtasks.models import Message, Schedule
from djtasks.models.clock import Now
from tests.beat.sentences import (
    HOUR,
    change_by_sql,
    close,
    due,
    hourly,
    let_come_due,
    made,
    moments,
    now,
    planned,
    row,
    sent,
    slots,
    utc,
)


def test_new_interval_waits_a_whole_one(vendor: Vendor) -> None:
    """BEAT-3."""
    schedule = hourly()
    assert tick(vendor) == 0
    assert row().next_run_at == schedule.since + HOUR
    assert not Message.objects.exists()


def test_crontab_that_was_made_before_a_beat_ran_is_made_up_for(vendor: Vendor) -> None:
    """D6: its slots count from when it was made, whoever looks when."""
    made("yearly", kind="crontab", expression="0 0 1 1 *")
    Schedule.objects.filter(name="yearly").update(since=Now() - timedelta(days=10 * 366))
    assert (tick(vendor), tick(vendor)) == (1, 0)
    assert close(sent("yearly")[0].enqueued_at, now())


CHANGES: dict[str, dict[str, Any]] = {
    "rule": {"expression": "2h"},
    "kind": {"kind": "crontab", "expression": "0 0 1 1 *"},
    "zone": {"timezone": "Asia/Tokyo"},
    "start": {"start_at": utc(2100, 1, 1)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("how", ["save", "update"])
def test_change_of_when_it_is_due_counts_from_now(vendor: Vendor, how: str, change: dict[str, Any]) -> None:
    """D6, D9: what was due by the old rule, and not made yet, is not made by the new one."""
    schedule = due(vendor)
    if how == "save":
        for name, value in change.items():
            setattr(schedule, name, value)
        schedule.save()
    else:
        Schedule.objects.filter(name="hourly").update(**change)
    assert tick(vendor) == 0
    assert row().next_run_at > now() and row().planned == row().plan


def test_change_by_sql_counts_too(vendor: Vendor) -> None:
    """D9: there is no other way in which a row could be changed."""
    due(vendor)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE djtasks_schedule SET expression = '2h' WHERE name = 'hourly'")
    assert tick(vendor) == 0
    assert close(row().next_run_at, now() + 2 * HOUR)


def test_start_that_was_changed_by_sql_counts_too(vendor: Vendor) -> None:
    """D9."""
    start = due(vendor, start_at=utc(2020, 1, 1)).start_at
    for other in (utc(2100, 1, 1), start, None):
        change_by_sql("hourly", start_at=other, next_run_at=now() - HOUR)
        assert tick(vendor) == 0
        assert row().next_run_at == other or close(row().next_run_at, now() + HOUR / 2, within=1801)
    assert tick(vendor) == 0


def test_schedule_that_was_enabled_by_sql_makes_nothing_up(vendor: Vendor) -> None:
    """D6: what a beat has seen disabled begins anew."""
    due(vendor)
    change_by_sql("hourly", enabled=False)
    assert tick(vendor) == 0
    assert row().next_run_at is None
    change_by_sql("hourly", enabled=True)
    assert tick(vendor) == 0
    assert close(row().next_run_at, now() + HOUR)


def test_schedule_that_has_ended_begins_anew_when_it_is_enabled_by_sql(vendor: Vendor) -> None:
    due(vendor, one_off=True)
    assert tick(vendor) == 1
    change_by_sql("hourly", enabled=True)
    assert tick(vendor) == 0
    assert close(row().next_run_at, now() + HOUR)


def test_disabled_schedules_are_looked_at_once(vendor: Vendor) -> None:
    hourly(enabled=False)
    assert tick(vendor) == 0
    assert not Schedule.objects.unplanned().exists()


def test_schedule_that_was_made_by_sql_begins_now(vendor: Vendor) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_schedule (name, task, kind, expression) "
            "VALUES ('by hand', 'tests.tasks.add', 'interval', '1h')"
        )
    assert tick(vendor) == 0
    assert close(row("by hand").next_run_at, now() + HOUR)


@pytest.mark.parametrize("how", ["save", "update"])
def test_schedule_that_is_enabled_again_makes_nothing_up(vendor: Vendor, how: str) -> None:
    """D6."""
    schedule = due(vendor)
    for enabled in (False, True):
        if how == "save":
            schedule.enabled = enabled
            schedule.save()
        else:
            Schedule.objects.filter(name="hourly").update(enabled=enabled)
    assert tick(vendor) == 0
    assert close(row().next_run_at, now() + HOUR)


def test_disabled_schedule_is_left_alone(vendor: Vendor) -> None:
    """D9: nothing is sent after it was disabled."""
    due(vendor)
    Schedule.objects.update(enabled=False)
    assert tick(vendor) == 0
    assert row().next_run_at is None


def test_saving_anything_else_changes_no_slot(vendor: Vendor) -> None:
    """Who holds an old copy of a row does not set back what beats have written since."""
    old = due(vendor)
    assert tick(vendor) == 1
    fresh = row()
    old.description = "of an hour"
    old.save()
    after = row()
    assert after.description == "of an hour"
    assert (after.next_run_at, after.runs, after.recent) == (fresh.next_run_at, 1, fresh.recent)
    assert after.last_run_at == fresh.last_run_at


def test_saving_some_columns_plans_anew_all_the_same(vendor: Vendor) -> None:
    schedule = due(vendor)
    schedule.expression = "2h"
    schedule.save(update_fields=["expression"])
    assert tick(vendor) == 0
    assert close(row().next_run_at, now() + 2 * HOUR)


def test_zone_of_the_project_counts_where_none_is_given(vendor: Vendor, settings: Any) -> None:
    settings.DJTASKS = {"TIMEZONE": "UTC"}
    made("daily", kind="crontab", expression="30 12 * * *")
    tick(vendor)
    assert (row("daily").next_run_at.hour, row("daily").next_run_at.minute) == (12, 30)
    settings.DJTASKS = {"TIMEZONE": "Asia/Kolkata"}
    tick(vendor)
    assert (row("daily").next_run_at.hour, row("daily").next_run_at.minute) == (7, 0)


def test_intervals_begin_with_the_start(vendor: Vendor) -> None:
    start = now().replace(microsecond=0) + timedelta(days=3)
    hourly(start_at=start)
    tick(vendor)
    assert row().next_run_at == start


def test_crontab_counts_from_the_start(vendor: Vendor) -> None:
    made("daily", kind="crontab", expression="0 12 * * *", timezone="UTC", start_at=utc(2100, 1, 1, 12))
    tick(vendor)
    assert row("daily").next_run_at == utc(2100, 1, 1, 12)


def test_schedule_ends_with_its_end(vendor: Vendor) -> None:
    """BEAT-7: reaching it disables the schedule."""
    due(vendor, end_at=now() + timedelta(minutes=1))
    assert tick(vendor) == 1
    assert (row().enabled, row().next_run_at) == (False, None)


def test_slot_after_the_end_is_not_made(vendor: Vendor) -> None:
    planned(vendor)
    let_come_due(ago=5)
    Schedule.objects.update(end_at=now() - timedelta(seconds=30))
    assert tick(vendor) == 0
    assert not row().enabled


def test_single_moment_is_over_after_its_run(vendor: Vendor) -> None:
    """BEAT-7."""
    moment = now() - timedelta(seconds=10)
    made("once", kind="clocked", expression=moment.isoformat())
    Schedule.objects.update(since=Now() - timedelta(minutes=1))
    assert tick(vendor) == 1
    assert moments(slots("once")) == [moment]
    assert (row("once").enabled, row("once").next_run_at, row("once").runs) == (False, None, 1)


def test_single_moment_of_the_past_is_not_made(vendor: Vendor) -> None:
    """D6."""
    made("once", kind="clocked", expression="2001-01-01T00:00:00+00:00")
    assert tick(vendor) == 0
    assert not row("once").enabled


def test_one_off_is_disabled_after_its_run(vendor: Vendor) -> None:
    """BEAT-7."""
    due(vendor, one_off=True)
    assert (tick(vendor), tick(vendor)) == (1, 0)
    assert (row().enabled, row().next_run_at) == (False, None)


@pytest.mark.parametrize(
    "fault",
    [
        {"expression": "every now and then"},
        {"kind": "crontab", "expression": "61 * * * *"},
        {"kind": "crontab", "expression": "0 0 31 2 *"},
        {"kind": "moon"},
        {"timezone": "Mars/Olympus"},
        {"task": ""},
        {"missed": "never"},
        {"overlap": "maybe"},
        {"jitter": -1.0},
        {"lifetime": 0.0},
        {"args": "ab"},
    ],
    ids=str,
)
def test_what_no_beat_could_use_is_refused_when_it_is_saved(transactional_db: None, fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="hourly"):
        made("hourly", **{"kind": "interval", "expression": "1h", **fault})
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(("column", "value"), [("expression", "x"), ("timezone", "Mars/X"), ("kind", "moon")])
def test_rule_that_cannot_be_read_disables_its_schedule_alone(vendor: Vendor, column: str, value: str) -> None:
    """D5, D10: it says why."""
    due(vendor, "broken"), due(vendor, "sound")
    change_by_sql("broken", **{column: value})
    assert tick(vendor) == 1
    broken = row("broken")
    assert not broken.enabled and broken.error and broken.failed_at
    assert row("sound").runs == 1 and row("sound").enabled
    assert tick(vendor) == 0


def test_change_that_is_not_committed_changes_nothing(vendor: Vendor) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("on SQLite nobody writes beside an open transaction")
    schedule = due(vendor)
    with transaction.atomic():
        schedule.expression = "2h"
        schedule.save()
        # The row is locked: it is left alone, not waited for.
        assert tick(vendor) == 0
        transaction.set_rollback(True)
    assert tick(vendor) == 1
