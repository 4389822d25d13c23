"""Crontabs: the wall times that five fields name, and when they come in a zone that changes its clocks (D4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from djtasks.domain.schedules import fields
from djtasks.domain.schedules.rules import CRON, CRONTAB, FIRST, FOLDS, Rule
from djtasks.domain.schedules.walls import Dates, NoWallTime, Walls
from djtasks.domain.schedules.zones import EARLIEST, naive, periods_since, zone_name, zone_named

_NAMES = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
_LEAST = timedelta(microseconds=1)


@dataclass(frozen=True, init=False, repr=False)
class crontab(Rule):
    """Due at the wall times that five fields name.

    The day must fit by its date and by its weekday; with ``day_or`` by one of them, as in Unix cron: there a day is
    still asked for both where one of the two fields begins with ``*``.

    Where clocks are put forward, a rule of fixed times is due at once for those that are skipped; where they are put
    back, for the first of two, or with ``fold="both"`` for each. A rule whose minute or hour begins with ``*`` is due
    whenever the clock shows a time that fits.
    """

    kind: str
    minute: str
    hour: str
    day_of_week: str
    day_of_month: str
    month_of_year: str
    timezone: str
    fold: str

    def __init__(
        self,
        minute: fields.Given = "*",
        hour: fields.Given = "*",
        day_of_week: fields.Given = "*",
        day_of_month: fields.Given = "*",
        month_of_year: fields.Given = "*",
        tz: str | ZoneInfo | None = None,
        day_or: bool = False,
        fold: str = FIRST,
    ) -> None:
        if fold not in FOLDS:
            raise ValueError(f"fold is {' or '.join(map(repr, FOLDS))}, not {fold!r:.80}")
        weekday = fields.UNIX_DAY_OF_WEEK if day_or else fields.DAY_OF_WEEK
        vars(self).update(
            kind=CRON if day_or else CRONTAB,
            minute=fields.MINUTE.text_of(minute),
            hour=fields.HOUR.text_of(hour),
            day_of_week=weekday.text_of(day_of_week),
            day_of_month=fields.DAY_OF_MONTH.text_of(day_of_month),
            month_of_year=fields.MONTH_OF_YEAR.text_of(month_of_year),
            timezone=zone_name(tz),
            fold=fold,
        )
        if len(self.expression) > fields.LONGEST_TEXT:
            raise ValueError(f"a crontab has at most {fields.LONGEST_TEXT} characters; write ranges for lists")
        if not self._walls.dates.exist:
            raise ValueError(f"day_of_month {self.day_of_month} never comes in month_of_year {self.month_of_year}")

    @classmethod
    def from_string(
        cls, text: str, tz: str | ZoneInfo | None = None, day_or: bool = False, fold: str = FIRST
    ) -> crontab:
        """Make a rule from five fields: minute, hour, day of month, month and day of week."""
        parts = text.split()
        if len(parts) != 5:
            raise ValueError(
                f"a crontab has five fields, minute hour day_of_month month_of_year day_of_week, and {text!r:.80} "
                f"has {len(parts)}"
            )
        minute, hour, day_of_month, month_of_year, day_of_week = parts
        return cls(minute, hour, day_of_week, day_of_month, month_of_year, tz, day_or, fold)

    @property
    def day_or(self) -> bool:
        return self.kind == CRON

    @property
    def expression(self) -> str:
        return f"{self.minute} {self.hour} {self.day_of_month} {self.month_of_year} {self.day_of_week}"

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """Return the first slot after a moment, or None where there is none before the year 9999."""
        start = max(naive(moment), EARLIEST)
        zone = zone_named(self.timezone or "UTC")
        try:
            for period in periods_since(zone, start):
                opens = period.opens
                # Of the times that are skipped here one that fits is enough, and several are due together.
                if self._fixed and period.begin > start and self._walls.first(period.left) < opens:
                    return period.begin.replace(tzinfo=UTC)
                # Those that have been shown before are not counted again.
                if self._fixed and self.fold == FIRST:
                    opens = max(opens, period.left)
                due = self._walls.first(max(opens, start + period.offset + _LEAST)) - period.offset
                if due < period.end:
                    return due.replace(tzinfo=UTC)
        except NoWallTime:
            pass
        return None

    @cached_property
    def _walls(self) -> Walls:
        weekday = fields.UNIX_DAY_OF_WEEK if self.day_or else fields.DAY_OF_WEEK
        dates = Dates(
            days=fields.DAY_OF_MONTH.values_of(self.day_of_month),
            months=fields.MONTH_OF_YEAR.values_of(self.month_of_year),
            weekdays=weekday.values_of(self.day_of_week),
            either=self.day_or and "*" not in (self.day_of_month[0], self.day_of_week[0]),
        )
        return Walls(fields.MINUTE.values_of(self.minute), fields.HOUR.values_of(self.hour), dates)

    @cached_property
    def _fixed(self) -> bool:
        return not (
            "*" in (self.minute[0], self.hour[0])
            or fields.MINUTE.is_full(self._walls.minutes)
            or fields.HOUR.is_full(self._walls.hours)
        )

    def __repr__(self) -> str:
        said = [f"{name}={value!r}" for name in _NAMES if (value := getattr(self, name)) != "*"]
        if self.timezone:
            said.append(f"tz={self.timezone!r}")
        if self.day_or:
            said.append("day_or=True")
        if self.fold != FIRST:
            said.append(f"fold={self.fold!r}")
        return f"crontab({', '.join(said)})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).from_string, (self.expression, self.timezone, self.day_or, self.fold)
