"""The wall times that a crontab names, in their order; what a zone makes of them is not known here."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import product

from djtasks.domain.schedules.fields import DAY_OF_MONTH, DAY_OF_WEEK, MONTH_OF_YEAR, Field

_DAY = timedelta(days=1)
_LENGTHS = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))


class NoWallTime(Exception):
    """None is left before the year 9999, or in the decades that croniter looks ahead."""


@dataclass(frozen=True)
class Dates:
    """Three sets of numbers; a day fits by its two, or, where ``either``, by one of them."""

    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False

    @property
    def exist(self) -> bool:
        return self.either or self._days_exist

    @property
    def _days_exist(self) -> bool:
        return any(day <= _LENGTHS[month] for day, month in product(self.days, self.months))

    @property
    def spelt(self) -> str:
        """The fields with their numbers spelt out, so that croniter, of whatever version, has nothing to understand."""
        days, weekdays = _spelt(DAY_OF_MONTH, self.days), _spelt(DAY_OF_WEEK, self.weekdays)
        if self.either and "*" in (days, weekdays):
            days = weekdays = "*"
        # croniter 6 would look for such dates, and give up.
        elif self.either and not self._days_exist:
            days = "*"
        return f"{days} {_spelt(MONTH_OF_YEAR, self.months)} {weekdays}"


@dataclass(frozen=True)
class Walls:
    """The wall times on these dates, at each of these minutes of each of these hours."""

    minutes: frozenset[int]
    hours: frozenset[int]
    dates: Dates

    def first(self, since: datetime) -> datetime:
        """Return the first wall time at or after a naive moment; raises NoWallTime."""
        found = first_date(self.dates, since.date())
        if found == since.date() and (later := self._times[bisect_left(self._times, since.time()) :]):
            return datetime.combine(found, later[0])
        if found == since.date():
            found = first_date(self.dates, _day_after(found))
        return datetime.combine(found, self._times[0])

    @cached_property
    def _times(self) -> list[time]:
        return [time(hour, minute) for hour, minute in product(sorted(self.hours), sorted(self.minutes))]


# Ten thousand schedules that come due on one day mean few different dates.
@lru_cache(maxsize=4096)
def first_date(dates: Dates, since: date) -> date:
    """Return the first of these dates from a day on."""
    # Only who has crontabs waits for it to be loaded.
    from croniter import croniter

    try:
        # What croniter finds lies after the moment that it is given.
        before = datetime.combine(since, time()) - _DAY
        source = croniter(f"0 0 {dates.spelt}", before, day_or=dates.either)
        found: datetime = source.get_next(datetime)
    # Of croniter where it gives up, and of datetime beyond its last year.
    except (ValueError, OverflowError):
        raise NoWallTime from None
    return found.date()


def _day_after(day: date) -> date:
    if day == date.max:
        raise NoWallTime
    return day + _DAY


def _spelt(field: Field, values: frozenset[int]) -> str:
    return "*" if field.is_full(values) else ",".join(map(str, sorted(values)))
