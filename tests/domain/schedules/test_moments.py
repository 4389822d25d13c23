"""When single moments are due."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from djtasks.domain.schedules.moments import clocked

MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_moment_is_due_once() -> None:
    rule = clocked(MOMENT)
    assert rule.next_after(MOMENT - timedelta(microseconds=1), MOMENT) == MOMENT
    assert rule.next_after(MOMENT, MOMENT) is None


@pytest.mark.parametrize(
    ("wall", "zone", "due"),
    [
        (datetime(2026, 5, 1, 12), "", "2026-05-01T12:00"),
        (datetime(2026, 5, 1, 12), "Europe/Paris", "2026-05-01T10:00"),
        (datetime(2026, 3, 29, 2, 30), "Europe/Paris", "2026-03-29T01:00"),
        (datetime(2026, 10, 25, 2, 30), "Europe/Paris", "2026-10-25T00:30"),
        (datetime(2026, 10, 25, 2, 30, fold=1), "Europe/Paris", "2026-10-25T00:30"),
    ],
)
def test_naive_moment_is_read_in_the_zone(wall: datetime, zone: str, due: str) -> None:
    """D4, D11."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert clocked(wall, zone).next_after(moment, moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (clocked(MOMENT), "2026-05-01T12:00:00+00:00"),
        (clocked(datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))), "2026-05-01T12:00:00+00:00"),
        (clocked(datetime(2026, 5, 1, 12, 0, 0, 5), "Europe/Paris"), "2026-05-01T12:00:00.000005"),
    ],
)
def test_moment_is_a_value(rule: clocked, text: str) -> None:
    assert rule.expression == text
    again = (pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule))  # noqa: S301
    for same in (*again, clocked.from_string(text, rule.timezone)):
        assert same == rule and hash(same) == hash(rule)
    assert repr(rule).startswith("clocked(datetime.datetime(2026, 5, 1, 12")
    with pytest.raises(AttributeError):
        rule.timezone = ""  # type: ignore[misc]


@pytest.mark.parametrize("text", ["2026-05-01T12:00:00Z", "20260501T120000+00", "2026-05-01 12:00+00:00"])
def test_moment_may_be_written_in_any_way_of_iso_8601(text: str) -> None:
    assert clocked.from_string(text) == clocked(MOMENT)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max,
        datetime(9999, 1, 1),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=9))),
    ],
)
def test_moment_at_the_ends_of_the_calendar_is_refused(moment: datetime) -> None:
    """D11."""
    with pytest.raises(ValueError, match="is not between the years 1 and 9998"):
        clocked(moment, "America/New_York")


@pytest.mark.parametrize("wrong", [None, "2026-05-01", date(2026, 5, 1), 5])
def test_moment_is_a_datetime(wrong: Any) -> None:
    with pytest.raises(TypeError, match="takes a datetime"):
        clocked(wrong)


@pytest.mark.parametrize("text", ["", "tomorrow", "12:00", "2026-02-30T12:00", "1714564800"])
def test_text_that_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no moment"):
        clocked.from_string(text)
