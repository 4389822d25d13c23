"""Zones by name, and the periods of one offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from djtasks.domain.schedules.zones import instant_of, periods, zone_name, zone_named


@pytest.mark.parametrize(
    "name",
    [
        "Mars/X",
        "",
        ".",
        "..",
        "../UTC",
        "/etc/localtime",
        "Europe",
        "Europe/",
        "a\0b",
        "x" * 5000,
        "\ud800",
        None,
        5,
        b"UTC",
    ],
)
def test_unknown_zone_is_named(name: Any) -> None:
    """D5."""
    with pytest.raises(ValueError, match="unknown time zone"):
        zone_named(name)


def test_zone_is_kept_by_its_name() -> None:
    assert zone_name(None) == zone_name("") == ""
    assert zone_name("Europe/Paris") == zone_name(ZoneInfo("Europe/Paris")) == "Europe/Paris"
    assert zone_named("Europe/Paris") is ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("zone", "year", "changes"),
    [
        ("UTC", 2026, []),
        ("Asia/Tokyo", 2026, []),
        ("Europe/Paris", 2026, [("03-29T01:00", 2.0), ("10-25T01:00", 1.0)]),
        ("Australia/Lord_Howe", 2026, [("04-04T15:00", 10.5), ("10-03T15:30", 11.0)]),
        ("Pacific/Apia", 2011, [("04-02T14:00", -11.0), ("09-24T14:00", -10.0), ("12-30T10:00", 14.0)]),
        ("Africa/Casablanca", 2026, [("02-15T02:00", 0.0), ("03-22T02:00", 1.0)]),
    ],
)
def test_periods_begin_where_the_offset_changes(zone: str, year: int, changes: list[tuple[str, float]]) -> None:
    found = periods(ZoneInfo(zone), year)
    assert [(f"{period.begin:%m-%dT%H:%M}", period.offset / timedelta(hours=1)) for period in found[1:]] == changes
    assert found[0].begin < datetime(year, 1, 1) and found[-1].end == datetime(year + 1, 1, 1)
    assert all(one.end == other.begin and other.left == one.end + one.offset for one, other in pairwise(found))


def test_change_at_the_turn_of_a_year_is_known_to_both() -> None:
    """What a clock showed before it was put back shortly before midnight comes again after it."""
    dhaka = ZoneInfo("Asia/Dhaka")
    change = datetime(2009, 12, 31, 17)
    for year in (2009, 2010):
        (period,) = (period for period in periods(dhaka, year) if period.begin == change)
        assert period.left - period.opens == timedelta(hours=1)


def test_change_in_the_first_second_of_a_year_belongs_to_that_year() -> None:
    casey = ZoneInfo("Antarctica/Casey")
    (before,), (after,) = periods(casey, 1968), periods(casey, 1969)
    assert before.end == after.begin == datetime(1969, 1, 1)
    assert (before.offset, after.left, after.opens) == (timedelta(0), after.begin, after.begin + timedelta(hours=8))


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("Europe/Paris", "2026-06-01T12:00", "2026-06-01T10:00"),
        ("Europe/Paris", "2026-03-29T02:30", "2026-03-29T01:00"),
        ("Europe/Paris", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Pacific/Apia", "2011-12-30T18:00", "2011-12-30T10:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-03T15:30"),
    ],
)
def test_wall_time_that_is_skipped_comes_when_clocks_are_put_forward(zone: str, wall: str, instant: str) -> None:
    """D4."""
    assert instant_of(datetime.fromisoformat(wall), ZoneInfo(zone)) == datetime.fromisoformat(instant).replace(
        tzinfo=UTC
    )
