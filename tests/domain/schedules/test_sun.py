"""When the sun rises, stands highest and sets."""

from __future__ import annotations

import copy
import pickle
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import nan
from typing import Any

import pytest
from astral import Depression, Observer
from astral.sun import dawn, dusk, noon, sunrise, sunset

from djtasks.domain.schedules.sun import EVENTS, solar
from djtasks.exceptions import ImproperlyConfigured

PARIS = (48.8566, 2.3522)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

THEIRS = {
    "dawn_astronomical": lambda where, day: dawn(where, day, Depression.ASTRONOMICAL),
    "dawn_nautical": lambda where, day: dawn(where, day, Depression.NAUTICAL),
    "dawn_civil": lambda where, day: dawn(where, day, Depression.CIVIL),
    "sunrise": sunrise,
    "solar_noon": noon,
    "sunset": sunset,
    "dusk_civil": lambda where, day: dusk(where, day, Depression.CIVIL),
    "dusk_nautical": lambda where, day: dusk(where, day, Depression.NAUTICAL),
    "dusk_astronomical": lambda where, day: dusk(where, day, Depression.ASTRONOMICAL),
}


def slots(rule: solar, since: datetime, until: datetime) -> list[datetime]:
    found, moment = [], rule.next_after(since, since)
    while moment and moment <= until:
        found.append(moment)
        moment = rule.next_after(moment, moment)
    return found


@pytest.mark.parametrize("day", [date(2026, 3, 20), date(2026, 9, 1), date(2026, 12, 21)])
@pytest.mark.parametrize("event", EVENTS)
def test_event_happens_when_the_library_says(event: str, day: date) -> None:
    """BEAT-6."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    due = solar(event, *PARIS).next_after(start, start)
    assert due and abs(due - THEIRS[event](Observer(*PARIS), day)) < timedelta(minutes=2)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("place", [(23.7, 90.4), (-36.8, 174.8), (0, 180), (21.3, -157.9)])
def test_event_happens_once_a_day(event: str, place: tuple[float, float]) -> None:
    """BEAT-6: also where it wanders over midnight in UTC, as sunrise does in Dhaka."""
    spring = datetime(2026, 3, 1, tzinfo=UTC)
    found = slots(solar(event, *place), spring, spring + timedelta(days=40))
    assert len(found) in (40, 41)
    assert all(timedelta(hours=23.9) < later - earlier < timedelta(hours=24.1) for earlier, later in pairwise(found))


def test_days_without_the_event_are_left_out() -> None:
    """BEAT-6: from May to July the sun does not set in Tromsø, and in June it does not get quite dark in Paris."""
    spring, midsummer, autumn = (datetime(2026, month, 21, tzinfo=UTC) for month in (4, 6, 8))
    for rule, days in [(solar("sunset", 69.65, 18.96), 69), (solar("dusk_astronomical", *PARIS), 19)]:
        before, after = max(pairwise(slots(rule, spring, autumn)), key=lambda pair: pair[1] - pair[0])
        assert before < midsummer < after
        assert abs(after - before - timedelta(days=days)) < timedelta(days=3)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("lat", [90, -90, 89.9, -89.9])
def test_poles_have_their_days(event: str, lat: float) -> None:
    found = slots(solar(event, lat, 0), NEW_YEAR, NEW_YEAR + timedelta(days=370))
    assert found == sorted(set(found)) and found


def test_no_moment_of_the_calendar_is_too_early_or_too_late_for_the_sun() -> None:
    """D11."""
    rule = solar("sunrise", *PARIS)
    for moment in (datetime.min, datetime(1582, 10, 10), datetime(9990, 1, 1)):
        due = rule.next_after(moment.replace(tzinfo=UTC), NEW_YEAR)
        assert due and due > moment.replace(tzinfo=UTC)
    assert rule.next_after(datetime.max.replace(tzinfo=UTC), NEW_YEAR) is None


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = solar("sunrise", *PARIS)
    monkeypatch.setitem(sys.modules, "astral", None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install djtasks\[solar\]"):
        rule.next_after(NEW_YEAR, NEW_YEAR)


def test_event_is_a_value() -> None:
    rule = solar("sunrise", 48.8566, -0.0, tz="Europe/Paris")
    assert rule.expression == "sunrise 48.8566 0.0"
    again = (eval(repr(rule)), pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule))  # noqa: S301, S307
    for same in (*again, solar.from_string(rule.expression, "Europe/Paris")):
        assert same == rule and hash(same) == hash(rule)
    with pytest.raises(AttributeError):
        rule.lat = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("moonrise", 0, 0), "no event 'moonrise'; write one of dawn_astronomical, "),
        (("sunrise", 90.1, 0), "latitude is from -90 to 90, unlike 90.1"),
        (("sunrise", 0, -181), "longitude is from -180 to 180, unlike -181"),
        (("sunrise", nan, 0), "latitude"),
    ],
)
def test_place_and_event_are_checked(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solar(*given)
    with pytest.raises(TypeError, match="latitude is a number"):
        solar("sunrise", "48", 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "sunrise", "sunrise 1", "sunrise 1 2 3", "sunrise one two", "1 2 sunrise"])
def test_text_that_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no event of the sun"):
        solar.from_string(text)
