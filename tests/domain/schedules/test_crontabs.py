"""When crontabs are due: by the fields, and where clocks change."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from djtasks.domain.schedules.crontabs import crontab


def slots(rule: crontab, since: str, count: int = 3) -> list[str]:
    """Give some slots as the clock of the rule's zone shows them."""
    moment: datetime | None = datetime.fromisoformat(since).replace(tzinfo=UTC)
    found = []
    while len(found) < count and moment and (moment := rule.next_after(moment, moment)):
        found.append(f"{moment.astimezone(ZoneInfo(rule.timezone or 'UTC')):%Y-%m-%d %H:%M%z}")
    return found


@pytest.mark.parametrize(
    ("expression", "day_or", "expected"),
    [
        ("*/20 * * * *", False, ["2026-01-01 00:20", "2026-01-01 00:40", "2026-01-01 01:00"]),
        ("0 0 13 * fri", False, ["2026-02-13 00:00", "2026-03-13 00:00", "2026-11-13 00:00"]),
        ("0 0 13 * fri", True, ["2026-01-02 00:00", "2026-01-09 00:00", "2026-01-13 00:00"]),
        ("0 0 */2 * fri", True, ["2026-01-09 00:00", "2026-01-23 00:00", "2026-02-13 00:00"]),
        ("0 0 13 * */5", True, ["2026-02-13 00:00", "2026-03-13 00:00", "2026-09-13 00:00"]),
        ("0 0 1-31 * fri", True, ["2026-01-02 00:00", "2026-01-03 00:00", "2026-01-04 00:00"]),
        ("0 0 13 * sun-sat", True, ["2026-01-02 00:00", "2026-01-03 00:00", "2026-01-04 00:00"]),
        ("0 0 31 feb mon", True, ["2026-02-02 00:00", "2026-02-09 00:00", "2026-02-16 00:00"]),
        ("0 0 * * 7", True, ["2026-01-04 00:00", "2026-01-11 00:00", "2026-01-18 00:00"]),
        ("0 0 29 2 mon", False, ["2044-02-29 00:00", "2072-02-29 00:00", "2112-02-29 00:00"]),
        ("15 22-3/2 * nov-feb *", False, ["2026-01-01 00:15", "2026-01-01 02:15", "2026-01-01 22:15"]),
    ],
)
def test_days_fit_by_both_fields_or_by_one(expression: str, day_or: bool, expected: list[str]) -> None:
    """BEAT-4; Unix cron asks for both where one begins with a star."""
    rule = crontab.from_string(expression, day_or=day_or)
    assert slots(rule, "2026-01-01 00:00") == [f"{slot}+0000" for slot in expected]


@pytest.mark.parametrize(
    ("expression", "zone", "since", "expected"),
    [
        # Put forward from 02:00 to 03:00.
        ("30 2 * * *", "Europe/Paris", "2026-03-28 12:00", ["2026-03-29 03:00+0200", "2026-03-30 02:30+0200"]),
        ("0,30 2,3 29 * *", "Europe/Paris", "2026-03-28 12:00", ["2026-03-29 03:00+0200", "2026-03-29 03:30+0200"]),
        ("*/30 1-3 29 * *", "Europe/Paris", "2026-03-29 00:10", ["2026-03-29 01:30+0100", "2026-03-29 03:00+0200"]),
        ("30 */2 * * *", "Europe/Paris", "2026-03-28 23:40", ["2026-03-29 04:30+0200", "2026-03-29 06:30+0200"]),
        ("0-59 2 * * *", "Europe/Paris", "2026-03-28 12:00", ["2026-03-30 02:00+0200", "2026-03-30 02:01+0200"]),
        ("0 9 30 * *", "Pacific/Apia", "2011-12-01 00:00", ["2011-12-31 00:00+1400", "2012-01-30 09:00+1400"]),
        # Put back from 03:00 to 02:00.
        ("30 2 * * *", "Europe/Paris", "2026-10-24 12:00", ["2026-10-25 02:30+0200", "2026-10-26 02:30+0100"]),
        ("30 2 * * *", "Europe/Paris", "2026-10-25 00:30", ["2026-10-26 02:30+0100", "2026-10-27 02:30+0100"]),
        ("30 2 * * *", "Europe/Paris", "2026-10-25 01:10", ["2026-10-26 02:30+0100", "2026-10-27 02:30+0100"]),
        ("*/30 2 * * *", "Europe/Paris", "2026-10-25 00:10", ["2026-10-25 02:30+0200", "2026-10-25 02:00+0100"]),
        ("30 * * * *", "Europe/Paris", "2026-10-25 00:10", ["2026-10-25 02:30+0200", "2026-10-25 02:30+0100"]),
        ("30 0-23 * * *", "Europe/Paris", "2026-10-25 00:10", ["2026-10-25 02:30+0200", "2026-10-25 02:30+0100"]),
        # By half an hour, from 02:00 to 01:30.
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 00:00", ["2026-04-05 01:45+1100", "2026-04-06 01:45+1030"]),
    ],
)
def test_fixed_times_are_due_once_and_wildcards_as_the_clock_shows_them(
    expression: str, zone: str, since: str, expected: list[str]
) -> None:
    """D4."""
    assert slots(crontab.from_string(expression, zone), since, 2) == expected


def test_fixed_times_are_due_twice_where_the_rule_says_so() -> None:
    """D4."""
    rule = crontab.from_string("30 2 * * *", "Europe/Paris", fold="both")
    assert slots(rule, "2026-10-24 12:00") == [
        "2026-10-25 02:30+0200",
        "2026-10-25 02:30+0100",
        "2026-10-26 02:30+0100",
    ]


@pytest.mark.parametrize("zone", [None, "UTC", "Pacific/Kiritimati", "Pacific/Niue", "Europe/Paris"])
@pytest.mark.parametrize("expression", ["0 0 1 1 *", "* * * * *", "30 2 * * *", "0 0 29 2 mon"])
def test_no_moment_of_the_calendar_is_too_early_or_too_late(expression: str, zone: str | None) -> None:
    """D11."""
    rule = crontab.from_string(expression, zone)
    for moment in (datetime.min, datetime(1, 12, 31), datetime(1582, 10, 10), datetime(1969, 12, 31, 23, 59, 59)):
        due = rule.next_after(moment.replace(tzinfo=UTC), moment)
        assert due and due > moment.replace(tzinfo=UTC)
    for moment in (datetime(9998, 12, 31, 23, 59, 59), datetime(9999, 6, 1), datetime.max):
        assert rule.next_after(moment.replace(tzinfo=UTC), moment) is None


def test_slot_is_strictly_later_by_as_little_as_a_microsecond() -> None:
    rule, noon = crontab(hour=12, minute=0), datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert rule.next_after(noon - timedelta(microseconds=1), noon) == noon
    assert rule.next_after(noon, noon) == noon + timedelta(days=1)
    assert rule.next_after(noon + timedelta(microseconds=1), noon) == noon + timedelta(days=1)
    elsewhere = noon.astimezone(ZoneInfo("Asia/Kolkata"))
    assert rule.next_after(elsewhere, noon) == noon + timedelta(days=1)
    with pytest.raises(ValueError, match="no time zone"):
        rule.next_after(datetime(2026, 5, 1), noon)


@pytest.mark.parametrize(
    "given", [{"day_of_month": 31, "month_of_year": 2}, {"day_of_month": "30,31", "month_of_year": "feb"}]
)
def test_dates_that_never_come_are_refused(given: dict[str, int | str]) -> None:
    with pytest.raises(ValueError, match=r"day_of_month 3.* never comes in month_of_year"):
        crontab(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("* * * *", "five fields.*has 4"),
        ("0 * * * * *", "five fields.*has 6"),
        ("@hourly", "five fields.*has 1"),
        ("", "five fields.*has 0"),
        ("* * * * 7", "day_of_week: 7 is not from 0 to 6; write 0 or sun"),
    ],
)
def test_text_that_is_no_crontab_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crontab.from_string(text)


def test_crontab_that_is_too_long_to_keep_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 256 characters"):
        crontab(range(59), range(23), day_of_month=range(1, 31))


def test_zone_and_fold_are_checked() -> None:
    with pytest.raises(ValueError, match="Mars/X"):
        crontab(tz="Mars/X")
    with pytest.raises(TypeError, match="name of a time zone or a ZoneInfo"):
        crontab(tz=UTC)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'first' or 'both', not 'second'"):
        crontab(fold="second")


VALUES = [
    (crontab(), "crontab()"),
    (
        crontab({30, 0}, "8-18/2", tz=ZoneInfo("Europe/Paris")),
        "crontab(minute='0,30', hour='8-18/2', tz='Europe/Paris')",
    ),
    (
        crontab(0, 0, "MON", [1, 15], "January", day_or=True, fold="both"),
        "crontab(minute='0', hour='0', day_of_week='mon', day_of_month='1,15', month_of_year='jan', day_or=True, "
        "fold='both')",
    ),
]


@pytest.mark.parametrize(("rule", "text"), VALUES)
def test_rule_is_a_value(rule: crontab, text: str) -> None:
    assert repr(rule) == text
    for same in (eval(text), pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule)):  # noqa: S301, S307
        assert same == rule and hash(same) == hash(rule)
        assert same.expression == rule.expression
    assert all(rule != other for other, said in VALUES if said != text)
    with pytest.raises(AttributeError):
        rule.minute = "5"  # type: ignore[misc]
