"""Which of the missed slots are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from djtasks.domain.schedules.catching_up import Due, Policy, due
from djtasks.domain.schedules.rules import Rule

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Hours(Rule):
    """Every so many hours, until an end; counts how often it is asked."""

    def __init__(self, hours: int = 1, until: datetime | None = None) -> None:
        self.step, self.until, self.asked = hours * HOUR, until, 0

    @property
    def expression(self) -> str:
        return "hours"

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        self.asked += 1
        slot = anchor + self.step * ((moment - anchor) // self.step + 1)
        return None if self.until and slot > self.until else slot


def test_slot_that_has_just_come_is_made() -> None:
    assert due(Hours(), NOON, NOON, Policy()) == Due([NOON], NOON + HOUR)


@pytest.mark.parametrize("late", [MINUTE, 59 * MINUTE], ids=str)
@pytest.mark.parametrize("missed", ["once", "all"])
def test_single_late_slot_is_made(late: timedelta, missed: str) -> None:
    assert due(Hours(), NOON, NOON + late, Policy(missed)) == Due([NOON], NOON + HOUR)


def test_of_several_the_latest_is_made() -> None:
    """D6."""
    assert due(Hours(), NOON, NOON + 5 * HOUR + MINUTE, Policy()) == Due([NOON + 5 * HOUR], NOON + 6 * HOUR)


@pytest.mark.parametrize(("limit", "hours"), [(100, range(6)), (6, range(6)), (2, (4, 5)), (1, (5,))])
def test_all_are_made_up_to_the_limit(limit: int, hours: range) -> None:
    """D6."""
    found = due(Hours(), NOON, NOON + 5 * HOUR + MINUTE, Policy("all", limit))
    assert found == Due([NOON + each * HOUR for each in hours], NOON + 6 * HOUR)


def test_none_is_made_where_missed_ones_are_skipped() -> None:
    """D6."""
    assert due(Hours(), NOON, NOON + 5 * HOUR + 2 * MINUTE, Policy("skip")) == Due([], NOON + 6 * HOUR)
    assert due(Hours(), NOON, NOON + 5 * HOUR + 0.5 * MINUTE, Policy("skip")).slots == [NOON + 5 * HOUR]


def test_grace_says_how_late_a_slot_may_be() -> None:
    """BEAT-5."""
    now = NOON + 5 * HOUR + 10 * MINUTE
    assert due(Hours(), NOON, now, Policy(grace=5 * MINUTE)).slots == []
    assert due(Hours(), NOON, now, Policy(grace=10 * MINUTE)).slots == [NOON + 5 * HOUR]
    assert due(Hours(), NOON, now, Policy("all", grace=2 * HOUR)).slots == [NOON + 4 * HOUR, NOON + 5 * HOUR]
    assert due(Hours(), NOON, now, Policy("skip", grace=HOUR)).slots == [NOON + 5 * HOUR]


def test_last_slot_of_all_is_made_and_none_follows() -> None:
    rule = Hours(until=NOON + 3 * HOUR)
    assert due(rule, NOON, NOON + 5 * HOUR, Policy()) == Due([NOON + 3 * HOUR], None)
    assert due(rule, NOON + 3 * HOUR, NOON + 3 * HOUR, Policy()) == Due([NOON + 3 * HOUR], None)


@pytest.mark.parametrize(("limit", "most"), [(1, 100), (100, 1000)])
def test_years_of_missed_slots_are_not_walked_through(limit: int, most: int) -> None:
    rule = Hours()
    now = NOON + timedelta(days=20 * 365)
    assert len(due(rule, NOON, now, Policy("all", limit)).slots) == limit
    assert rule.asked < most
