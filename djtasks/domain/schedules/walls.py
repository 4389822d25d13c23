"""The wall times that a crontab names, in their order; what a zone makes of them is not known here."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

from djtasks.domain.schedules.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH_OF_YEAR, Field

if TYPE_CHECKING:
    from croniter import croniter

_MINUTE = timedelta(minutes=1)
_LENGTHS = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))


class NoWallTime(Exception):
    """None is left before the year 9999, or in the decades that croniter looks ahead."""


@dataclass(frozen=True)
class Pattern:
    """Five sets of numbers; a day fits by its two, or, where ``either``, by one of them."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False

    def dates_exist(self) -> bool:
        return self.either or self._days_exist

    def search(self) -> Walls:
        """Return the wall times; each search has its own, for they remember where they stand."""
        return Walls(copy(self._croniter))

    @cached_property
    def _days_exist(self) -> bool:
        return any(day <= _LENGTHS[month] for day, month in product(self.days, self.months))

    @cached_property
    def _croniter(self) -> croniter:
        """Spell the numbers out, so that croniter, of whatever version, has nothing left to understand."""
        # Only who has crontabs waits for it to be loaded.
        from croniter import croniter

        days, weekdays = _spelt(DAY_OF_MONTH, self.days), _spelt(DAY_OF_WEEK, self.weekdays)
        if self.either and "*" in (days, weekdays):
            days = weekdays = "*"
        # croniter 6 would look for such dates, and give up.
        elif self.either and not self._days_exist:
            days = "*"
        fields = (
            _spelt(MINUTE, self.minutes),
            _spelt(HOUR, self.hours),
            days,
            _spelt(MONTH_OF_YEAR, self.months),
            weekdays,
        )
        return croniter(" ".join(fields), datetime(2000, 1, 1), day_or=self.either)


class Walls:
    """Wall times, found one at a time; the last answer is kept, because it often answers the next question, too."""

    def __init__(self, source: croniter) -> None:
        self._source = source
        self._asked, self._found = datetime.max, datetime.min

    def first(self, since: datetime) -> datetime:
        """Return the first wall time at or after a naive moment."""
        if not self._asked <= since <= self._found:
            self._found = self._next(since)
            self._asked = since
        return self._found

    def _next(self, since: datetime) -> datetime:
        # What croniter finds lies after the minute that it is given.
        before = since.replace(second=0, microsecond=0)
        if before == since:
            before -= _MINUTE
        try:
            found: datetime = self._source.get_next(datetime, start_time=before)
        # Of croniter where it gives up, and of datetime beyond its last year.
        except (ValueError, OverflowError):
            raise NoWallTime from None
        return found


def _spelt(field: Field, values: frozenset[int]) -> str:
    return "*" if field.is_full(values) else ",".join(map(str, sorted(values)))
