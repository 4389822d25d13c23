"""Intervals: again and again after the same time, whatever clocks do meanwhile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from djtasks.domain.schedules.rules import INTERVAL, Rule
from djtasks.domain.schedules.zones import LAST_YEAR, instant_of, zone_name, zone_named

LEAST = timedelta(milliseconds=1)

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_DAY = _UNITS["d"]
_SECOND = timedelta(seconds=1)
_RELATIVE = " relative"
_TEXT = re.compile(r"(?:(?P<d>\d+)d)?\s*(?:(?P<h>\d+)h)?\s*(?:(?P<m>\d+)m)?\s*(?:(?P<s>\d+(?:\.\d{1,6})?)s)?", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d{1,6})?", re.ASCII)


def every(
    interval: float | timedelta | None = None,
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
    relative: bool = False,
    tz: str | ZoneInfo | None = None,
) -> schedule:
    """Return the schedule of an interval: ``every(30)``, ``every(minutes=5)``, ``every(timedelta(days=1))``."""
    named = (seconds, minutes, hours, days)
    if interval is None:
        if not any(named):
            raise ValueError("every() needs an interval: every(30) for seconds, or every(minutes=5)")
        interval = _timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    elif any(named):
        raise TypeError("every() takes an interval or its parts, not both")
    return schedule(interval, relative, tz)


@dataclass(frozen=True, init=False, repr=False)
class schedule(Rule):
    """Due each time that an interval has passed, counted from the slot before, or from when the schedule was made.

    With ``relative`` it counts from there rounded down to the interval's unit: seconds, minutes, hours, or days, whose
    slots are midnights of the zone.
    """

    kind = INTERVAL
    run_every: timedelta
    relative: bool
    timezone: str

    def __init__(self, run_every: float | timedelta, relative: bool = False, tz: str | ZoneInfo | None = None) -> None:
        if not isinstance(run_every, timedelta):
            if isinstance(run_every, bool) or not isinstance(run_every, (int, float)):
                raise TypeError(f"an interval is a number of seconds or a timedelta, not {run_every!r:.80}")
            run_every = _timedelta(seconds=run_every)
        if run_every < LEAST:
            raise ValueError(f"an interval is at least {LEAST.total_seconds()} s, unlike {run_every}")
        vars(self).update(run_every=run_every, relative=bool(relative), timezone=zone_name(tz))

    @classmethod
    def from_string(cls, text: str, tz: str | ZoneInfo | None = None) -> schedule:
        """Make a rule from "1h30m", "0.5s", "2d relative", or a plain number of seconds."""
        written = text.strip()
        length = written.removesuffix(_RELATIVE)
        match = _TEXT.fullmatch(f"{length}s" if _NUMBER.fullmatch(length) else length)
        if not match or not length:
            raise ValueError(f"{text!r:.80} is no interval; write one such as 30s, 5m, 1h30m, 2d or 1d relative")
        days, hours, minutes, seconds = (match[unit] or "0" for unit in "dhms")
        run_every = _timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
        return cls(run_every, length != written, tz)

    @property
    def expression(self) -> str:
        text, rest = "", self.run_every
        for unit, length in _UNITS.items():
            count, rest = divmod(rest, length)
            text += f"{count}{unit}" if count else ""
        if rest:
            text += f"{rest // _SECOND}.{rest % _SECOND // timedelta.resolution:06}".rstrip("0").rstrip(".") + "s"
        return text + _RELATIVE * self.relative

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """Return the first slot after a moment, which is the anchor itself where that is still to come."""
        try:
            if self.relative and not self.run_every % _DAY:
                due = self._midnight_after(moment, anchor)
            else:
                start = self._rounded(anchor) if self.relative else anchor
                due = start + max(0, (moment - start) // self.run_every + 1) * self.run_every
        except OverflowError:
            return None
        return due if due.year <= LAST_YEAR else None

    def _midnight_after(self, moment: datetime, anchor: datetime) -> datetime:
        """Count days by the calendar of the zone, for a day may have 23 hours, or 25."""
        zone = zone_named(self.timezone or "UTC")
        day = anchor.astimezone(zone).date()
        passed = (moment.astimezone(zone).date() - day) // self.run_every
        day += max(-1, passed) * self.run_every
        due = moment
        # More than once only where a midnight comes twice, or where a whole day is left out.
        while due <= moment:
            day += self.run_every
            due = instant_of(datetime.combine(day, time()), zone)
        return due

    def _rounded(self, anchor: datetime) -> datetime:
        local = anchor.astimezone(zone_named(self.timezone or "UTC")).replace(tzinfo=None)
        whole = local.replace(microsecond=0)
        if not self.run_every % _UNITS["h"]:
            whole = whole.replace(minute=0, second=0)
        elif not self.run_every % _UNITS["m"]:
            whole = whole.replace(second=0)
        return anchor.astimezone(UTC) - (local - whole)

    def __repr__(self) -> str:
        zone = f", tz={self.timezone!r}" if self.timezone else ""
        seconds = self.run_every / _SECOND if self.run_every % _SECOND else self.run_every // _SECOND
        return f"every({seconds}{', relative=True' if self.relative else ''}{zone})"


def _timedelta(**parts: float) -> timedelta:
    try:
        return timedelta(**parts)
    # Of an infinite number, of one that is none, and of one that is too large.
    except (OverflowError, ValueError):
        said = ", ".join(f"{unit}={value!r:.40}" for unit, value in parts.items() if value)
        raise ValueError(f"no interval can have {said}") from None
