"""Crontabs against an oracle that walks a clock minute by minute where zones change their clocks (D4, F13)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from djtasks.domain.schedules.crontabs import crontab
from djtasks.domain.schedules.rules import BOTH, FIRST, FOLDS
from djtasks.domain.schedules.texts import rule_of
from djtasks.domain.schedules.zones import periods

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
YEARS = range(2000, 2041)
ZONES = (
    "UTC",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Dhaka",
    "Asia/Gaza",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Paris",
    "Pacific/Apia",
    "Pacific/Chatham",
)


@dataclass
class Written:
    """Five fields at random, with what they mean: worked out while they are written."""

    random: Random
    day_or: bool = False
    plain: bool = False
    # A time of day at which something is worth being due.
    near: time | None = None
    texts: list[str] = field(default_factory=list)
    values: list[set[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        near = (self.near.minute, self.near.hour) if self.near else (None, None)
        self.write(0, 59, 2, near[0])
        self.write(0, 23, 2, near[1])
        for low, high, stars in ((1, 31, 8), (1, 12, 9), (0, 6, 7)):
            self.write(low, high, stars)

    def write(self, low: int, high: int, stars: int, near: int | None = None) -> None:
        if self.random.randrange(10) < stars:
            self.texts.append("*")
            self.values.append(set(range(low, high + 1)))
            return
        size, shape = high - low + 1, self.random.randrange(4)
        first, length = self.random.randint(low, high), self.random.randint(1, size)
        if near is not None and self.random.randrange(4):
            first, shape = near, self.random.choice([1, 1, 2, 3])
        step = self.random.randint(1, max(1, size // 2))
        if shape == 0:
            text, values = f"*/{step}", {value for value in range(low, high + 1) if (value - low) % step == 0}
        elif shape == 1:
            # Three that do not lie far from each other, so that several meet a change.
            values = {low + (first - low + self.random.randrange(4)) % size for _ in range(3)}
            text = ",".join(map(str, values))
        else:
            if self.plain:
                # No other reader knows ranges that wrap, and cronsim takes 5-5/2 for 5-59/2.
                length = min(length, high - first + 1)
                shape = shape if length > 1 else 2
            span = [low + (first - low + index) % size for index in range(length)]
            values = set(span if shape == 2 else span[::step])
            text = f"{span[0]}-{span[-1]}" + (f"/{step}" if shape == 3 else "")
        self.texts.append(text)
        self.values.append(values)

    @property
    def expression(self) -> str:
        return " ".join(self.texts)

    @property
    def is_fixed(self) -> bool:
        minute, hour = self.texts[:2]
        full = len(self.values[0]) == 60 or len(self.values[1]) == 24
        return not (minute.startswith("*") or hour.startswith("*") or full)

    def fits(self, wall: datetime) -> bool:
        minutes, hours, days, months, weekdays = self.values
        day, weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        either = self.day_or and not any(text.startswith("*") for text in (self.texts[2], self.texts[4]))
        return (
            wall.minute in minutes
            and wall.hour in hours
            and wall.month in months
            and ((day or weekday) if either else (day and weekday))
        )


def walk(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield each minute, and what the clock on the wall shows in it."""
    while since < until:
        yield since, since.astimezone(zone).replace(tzinfo=None)
        since += MINUTE


def expected(written: Written, walked: list[tuple[datetime, datetime]], fold: str) -> list[datetime]:
    """Return the slots that the policy wants, by looking at every minute."""
    if not written.is_fixed:
        return [instant for instant, wall in walked if written.fits(wall)]
    slots, shown = [], set()
    awaited = walked[0][1]
    for instant, wall in walked:
        skipped = (wall - awaited) // MINUTE
        caught_up = any(written.fits(awaited + minute * MINUTE) for minute in range(skipped))
        if caught_up or (written.fits(wall) and (fold == BOTH or wall not in shown)):
            slots.append(instant)
        shown.add(wall)
        awaited = wall + MINUTE
    return slots


def check(written: Written, zone: ZoneInfo, walked: list[tuple[datetime, datetime]], fold: str, random: Random) -> None:
    """Compare rule and oracle: slot by slot, and from anywhere between."""
    try:
        rule = crontab.from_string(written.expression, zone, written.day_or, fold=fold)
    except ValueError as error:
        assert "never comes" in str(error)
        return
    slots = expected(written, walked, fold)
    # What lies in the first two days is not compared: there the oracle has not seen what clocks showed before.
    start, end = walked[0][0] + 2 * DAY, walked[-1][0]
    moments = [start + random.random() * (end - start) for _ in range(3)]
    moments += random.sample(slots, min(len(slots), 20))
    for moment in (start, *moments):
        if moment >= start:
            right = next((slot for slot in slots if slot > moment), None)
            due = rule.next_after(moment, moment)
            assert due == right or (right is None and (due is None or due > end)), (
                f"{rule!r} after {moment} is due at {due}, and should be at {right}"
            )


def turn(zone: ZoneInfo, change: datetime) -> time:
    """Return from when on wall times are skipped, or come twice."""
    before, after = ((change + past).replace(tzinfo=UTC).astimezone(zone) for past in (-MINUTE, 0 * MINUTE))
    return min(before.replace(tzinfo=None) + MINUTE, after.replace(tzinfo=None)).time()


@lru_cache
def minutes_around(zone: ZoneInfo, moment: datetime, reach: timedelta) -> list[tuple[datetime, datetime]]:
    moment = moment.replace(second=0, microsecond=0, tzinfo=UTC)
    return list(walk(zone, moment - reach - 2 * DAY, moment + reach))


@st.composite
def places(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """Choose a zone and a moment at which it changed its clocks, or where it never did, any one."""
    zone, year = ZoneInfo(draw(st.sampled_from(ZONES))), draw(st.sampled_from(YEARS))
    changes = [period.begin for period in periods(zone, year)[1:]]
    return zone, draw(st.sampled_from(changes or [datetime(year, 6, 1)]))


@given(places(), st.randoms(use_true_random=False), st.booleans(), st.sampled_from(FOLDS))
@settings(max_examples=100)
def test_slots_are_those_of_the_policy(
    place: tuple[ZoneInfo, datetime], random: Random, day_or: bool, fold: str
) -> None:
    """D4, F13: fixed times come once, also where they are skipped; wildcards whenever the clock shows them."""
    zone, change = place
    written = Written(random, day_or, near=turn(zone, change))
    note(f"{written.expression} in {zone} around {change}")
    check(written, zone, minutes_around(zone, change, 27 * HOUR), fold, random)


@pytest.mark.soak
@pytest.mark.parametrize("share", range(24))
def test_no_change_of_any_zone_breaks_the_policy(share: int) -> None:
    """D4, F13: every zone, every change of 41 years."""
    for name in sorted(available_timezones())[share::24]:
        zone, random = ZoneInfo(name), Random(name)
        changes = [period.begin for year in YEARS for period in periods(zone, year) if period.left != period.opens]
        assert sorted(set(changes)) == [*changes_by_the_hour(zone)]
        for change in sorted(set(changes)):
            # A day was left out in Samoa; nowhere else do clocks change by more than a few hours.
            walked = minutes_around(zone, change, 27 * HOUR if "Pacific/" in name else 5 * HOUR)
            for _ in range(4):
                written = Written(random, random.random() < 0.5, near=turn(zone, change))
                check(written, zone, walked, random.choice(FOLDS), random)


def changes_by_the_hour(zone: ZoneInfo) -> Iterator[datetime]:
    """Find the changes of a zone by looking at it each hour, and then each minute."""
    moment, end = datetime(YEARS[0], 1, 1, tzinfo=UTC), datetime(YEARS[-1] + 1, 1, 1, tzinfo=UTC)
    offset = moment.astimezone(zone).utcoffset()
    while moment < end:
        later = moment + HOUR
        if later.astimezone(zone).utcoffset() != offset:
            minutes = (moment + minute * MINUTE for minute in range(1, 61))
            moment = next(minute for minute in minutes if minute.astimezone(zone).utcoffset() != offset)
            offset = moment.astimezone(zone).utcoffset()
            yield moment.replace(tzinfo=None)
        else:
            moment = later


@given(st.datetimes(), st.sampled_from(ZONES), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=100)
def test_slots_follow_one_another(moment: datetime, zone: str, random: Random, day_or: bool) -> None:
    """D11: in any year."""
    rule = rule_from(Written(random, day_or), zone)
    after = moment.replace(tzinfo=UTC)
    for _ in range(5):
        due = rule.next_after(after, after)
        if due is None:
            assert after.year > 9940
            break
        assert due > after and due.tzinfo is UTC and due.year < 9999
        between = after + random.random() * (due - after)
        assert rule.next_after(min(between, due - timedelta(microseconds=1)), after) == due
        after = due


@given(st.randoms(use_true_random=False), st.booleans(), st.sampled_from(["UTC", "Europe/Paris"]))
@settings(max_examples=150)
def test_cronsim_agrees_where_clocks_do_not_change(random: Random, day_or: bool, zone: str) -> None:
    """BEAT-4: in Unix cron's own words, and in Celery's where the two say the same."""
    written = Written(random, day_or, plain=True)
    days = (written.texts[2], written.texts[4])
    # Only Unix cron lets a day fit by one of its fields.
    assume(day_or or any(text.startswith("*") for text in days))
    rule = rule_from(written, zone)
    moment = datetime(2026, 4, random.randint(1, 30), random.randrange(24), random.randrange(60), tzinfo=ZoneInfo(zone))
    theirs = CronSim(written.expression, moment)
    for _ in range(10):
        theirs_due = next(theirs)
        if theirs_due.year > 2026 or theirs_due.month > 9:
            break
        due = rule.next_after(moment, moment)
        assert due == theirs_due
        moment = due


@given(st.randoms(use_true_random=False), st.booleans(), st.sampled_from(["", *ZONES]), st.sampled_from(FOLDS))
def test_text_of_any_crontab_is_read_back(random: Random, day_or: bool, zone: str, fold: str) -> None:
    rule = rule_from(Written(random, day_or), zone, fold)
    assert rule_of(rule.kind, rule.expression, zone, fold) == rule
    assert eval(repr(rule)) == rule  # noqa: S307


def test_threads_that_share_a_rule_do_not_meet(hasty_threads: None) -> None:
    rule = crontab("*/7", "3-20", day_of_week="mon-fri", tz="Europe/Paris")
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + hour * 37 * HOUR for hour in range(400)]
    right = [rule.next_after(moment, moment) for moment in moments]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(4):
            assert list(threads.map(lambda moment: rule.next_after(moment, moment), moments)) == right


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns so often that they would meet in any state that they shared."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def rule_from(written: Written, zone: str, fold: str = FIRST) -> crontab:
    note(f"{written.expression} in {zone}")
    try:
        return crontab.from_string(written.expression, zone, written.day_or, fold=fold)
    except ValueError as error:
        assert "never comes" in str(error)
        assume(False)
        raise
