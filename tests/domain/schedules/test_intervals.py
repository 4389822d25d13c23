"""When intervals are due."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djtasks.domain.schedules.intervals import every, schedule

ANCHOR = datetime(2026, 3, 1, 10, 20, 30, 400, tzinfo=UTC)
LENGTHS = st.timedeltas(timedelta(milliseconds=1), timedelta(days=400))


def test_new_schedule_waits_one_interval() -> None:
    """BEAT-3."""
    assert every(30).next_after(ANCHOR, ANCHOR) == ANCHOR + timedelta(seconds=30)


def test_anchor_that_is_still_to_come_is_the_first_slot() -> None:
    """A schedule that begins later begins with its start."""
    assert every(30).next_after(ANCHOR - timedelta(hours=1), ANCHOR) == ANCHOR


def test_slots_do_not_drift_after_a_downtime() -> None:
    late = ANCHOR + timedelta(days=2, seconds=7, microseconds=1)
    assert every(minutes=10).next_after(late, ANCHOR) == ANCHOR + timedelta(days=2, minutes=10)
    slot = ANCHOR + timedelta(days=2)
    assert every(minutes=10).next_after(slot, ANCHOR) == slot + timedelta(minutes=10)
    assert every(minutes=10).next_after(slot - timedelta(microseconds=1), ANCHOR) == slot


@given(LENGTHS, st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_one_step_over_many_intervals_equals_many_steps(length: timedelta, count: int, part: float) -> None:
    rule, slot = schedule(length), ANCHOR
    for _ in range(count):
        due = rule.next_after(slot, slot)
        assert due
        slot = due
    # Just before a slot, on the one before it, and anywhere between.
    for moment in (slot - timedelta(microseconds=1), slot - length, slot - length + part * length):
        assert rule.next_after(min(moment, slot - timedelta(microseconds=1)), ANCHOR) == slot


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        (every(0.5, relative=True), "2026-03-01 10:20:30.500000"),
        (every(5, relative=True), "2026-03-01 10:20:35"),
        (every(minutes=5, relative=True), "2026-03-01 10:25:00"),
        (every(minutes=1, seconds=30, relative=True), "2026-03-01 10:22:00"),
        (every(hours=2, relative=True), "2026-03-01 12:00:00"),
        (every(hours=1, relative=True, tz="Asia/Kolkata"), "2026-03-01 10:30:00"),
        (every(days=1, relative=True), "2026-03-02 00:00:00"),
        (every(days=1, relative=True, tz="Asia/Kolkata"), "2026-03-01 18:30:00"),
        (every(days=3, relative=True, tz="America/New_York"), "2026-03-04 05:00:00"),
    ],
)
def test_relative_interval_counts_from_its_unit_rounded_down(rule: schedule, due: str) -> None:
    """BEAT-3."""
    assert rule.next_after(ANCHOR, ANCHOR) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "since", "expected"),
    [
        ("Europe/Paris", "2026-03-28 12:00", ["29 00:00+0100", "30 00:00+0200", "31 00:00+0200"]),
        ("Europe/Paris", "2026-10-24 12:00", ["25 00:00+0200", "26 00:00+0100", "27 00:00+0100"]),
        # Midnight is skipped, midnight comes twice, and a whole day is left out.
        ("Asia/Beirut", "2026-03-28 12:00", ["29 01:00+0300", "30 00:00+0300", "31 00:00+0300"]),
        ("America/Havana", "2026-10-31 12:00", ["01 00:00-0400", "02 00:00-0500", "03 00:00-0500"]),
        (
            "Pacific/Apia",
            "2011-12-29 12:00",
            ["31 00:00+1400", "01 00:00+1400", "02 00:00+1400"],
        ),
    ],
)
@pytest.mark.parametrize("anchored", [True, False])
def test_relative_days_are_midnights_whatever_clocks_do(
    zone: str, since: str, expected: list[str], anchored: bool
) -> None:
    """D4: whether each slot counts from the one before, or all count from the first."""
    anchor = moment = datetime.fromisoformat(since).replace(tzinfo=UTC)
    found = []
    for _ in expected:
        due = every(days=1, relative=True, tz=zone).next_after(moment, anchor)
        assert due
        found.append(f"{due.astimezone(ZoneInfo(zone)):%d %H:%M%z}")
        moment, anchor = due, due if anchored else anchor
    assert found == expected


def test_midnight_that_comes_again_is_not_due_again() -> None:
    """D4: at one minute past midnight clocks in Newfoundland were once put back to the day before."""
    evening = datetime(2010, 11, 7, 3, tzinfo=UTC)
    due = every(days=1, relative=True, tz="America/St_Johns").next_after(evening, evening - timedelta(hours=3))
    assert due == datetime(2010, 11, 8, 3, 30, tzinfo=UTC)


def test_intervals_ignore_changes_of_clocks() -> None:
    """D4."""
    moment = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert every(days=1, tz="Europe/Paris").next_after(moment, moment) == moment + timedelta(days=1)


@pytest.mark.parametrize(
    ("rule", "text", "said"),
    [
        (every(30), "30s", "every(30)"),
        (every(timedelta(minutes=90)), "1h30m", "every(5400)"),
        (every(days=2, relative=True), "2d relative", "every(172800, relative=True)"),
        (every(0.5), "0.5s", "every(0.5)"),
        (every(days=1, seconds=0.000001, tz="UTC"), "1d0.000001s", "every(86400.000001, tz='UTC')"),
        (schedule(timedelta(weeks=1)), "7d", "every(604800)"),
    ],
)
def test_interval_is_a_value(rule: schedule, text: str, said: str) -> None:
    assert (rule.expression, repr(rule)) == (text, said)
    again = (eval(said), pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule))  # noqa: S301, S307
    for same in (*again, schedule.from_string(text, rule.timezone)):
        assert same == rule and hash(same) == hash(rule)
    with pytest.raises(AttributeError):
        rule.relative = True  # type: ignore[misc]


@given(LENGTHS, st.booleans())
def test_text_of_any_interval_is_read_back(length: timedelta, relative: bool) -> None:
    rule = schedule(length, relative)
    assert schedule.from_string(rule.expression) == rule


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("0.25", 0.25), ("90m", 5400), ("1d 2h", 93600), (" 5m ", 300), ("36h", 129600)]
)
def test_interval_may_be_written_otherwise(text: str, seconds: float) -> None:
    assert schedule.from_string(text) == every(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "relative",
        " relative",
        "s",
        "1.5m",
        "-5",
        "1m1h",
        "5 minutes",
        "0",
        "0s",
        "1e3",
        "inf",
        "9" * 30 + "d",
        "٣s",
    ],
)
def test_text_that_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="interval"):
        schedule.from_string(text)


@pytest.mark.parametrize("wrong", [0, -1, 0.0009, timedelta(0), inf, nan, 1e20])
def test_interval_that_never_passes_is_refused(wrong: float | timedelta) -> None:
    with pytest.raises(ValueError, match="interval"):
        every(wrong)


@pytest.mark.parametrize("wrong", ["30", True, [30]])
def test_interval_is_a_number_or_a_timedelta(wrong: Any) -> None:
    with pytest.raises(TypeError, match="number of seconds or a timedelta"):
        schedule(wrong)


def test_every_is_told_an_interval_once() -> None:
    with pytest.raises(TypeError, match="not both"):
        every(30, minutes=1)
    with pytest.raises(ValueError, match=r"every\(30\)"):
        every()


@pytest.mark.parametrize("rule", [every(30), every(days=1, relative=True, tz="Asia/Tokyo"), every(days=999_999_999)])
def test_no_slot_lies_beyond_the_calendar(rule: schedule) -> None:
    """D11."""
    for moment in (datetime.max, datetime(9998, 12, 31, 23, 59, 50)):
        assert rule.next_after(moment.replace(tzinfo=UTC), ANCHOR) is None
    for anchor in (datetime.min, datetime(1, 1, 2)):
        due = rule.next_after(ANCHOR, anchor.replace(tzinfo=UTC))
        assert due is None or due > ANCHOR
