"""Time zones by name, and the periods in which their offset from UTC stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

# From here on nothing is due: what lies near the last moment of datetime could not be shown in every zone.
LAST_YEAR = 9998
# And before it there is no calendar to look back in.
EARLIEST = datetime(2, 1, 1)

_SECOND = timedelta(seconds=1)
_STRIDE = timedelta(hours=12)
# No clock was ever put back by more than a day.
_LOOK_BACK = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Period:
    """A time of constant offset, in naive UTC: from ``begin`` up to ``end``.

    ``opens`` is what the clock of the wall shows at its begin, ``left`` what it would have shown had it not been put
    forward or back then.
    """

    begin: datetime
    end: datetime
    offset: timedelta
    left: datetime

    @property
    def opens(self) -> datetime:
        return self.begin + self.offset


def zone_named(name: str) -> ZoneInfo:
    """Return a zone by its name; raise ValueError where there is none of this name."""
    try:
        return ZoneInfo(name)
    # A path out of the database is a ValueError, a directory an OSError; what is no text is a TypeError or worse.
    except Exception:
        raise ValueError(f"unknown time zone {name!r:.80}; write one such as Europe/Paris or UTC") from None


def zone_name(zone: str | ZoneInfo | None) -> str:
    """Return the name by which to keep a zone, "" for none; raise ValueError for an unknown one."""
    if zone is None or zone == "":
        return ""
    if not isinstance(zone, (str, ZoneInfo)):
        raise TypeError(f"tz is the name of a time zone or a ZoneInfo, not {zone!r:.80}")
    name = zone.key if isinstance(zone, ZoneInfo) else zone
    return zone_named(name).key


def naive(moment: datetime) -> datetime:
    """Return an aware moment in UTC without saying so; raise ValueError for one whose zone nobody knows."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; give an aware datetime")
    return moment.astimezone(UTC).replace(tzinfo=None)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clock of a wall shows a time: for the first time, or where it skips it, when it does so."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    skipped = next(period for period in periods(zone, instant.year) if naive(instant) < period.end)
    return skipped.begin.replace(tzinfo=UTC)


def periods_since(zone: ZoneInfo, moment: datetime) -> Iterator[Period]:
    """Yield the periods of a zone in order, beginning with that in which a naive moment lies."""
    for year in range(moment.year, LAST_YEAR + 1):
        for period in periods(zone, year):
            if period.end > moment:
                yield period


@lru_cache(maxsize=4096)
def periods(zone: ZoneInfo, year: int) -> tuple[Period, ...]:
    """Return the periods of a year in UTC; the first begins a little earlier, the last ends with the year.

    The years of the calendar from 2 to 9998 can be had.
    """
    since, until = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    found: list[Period] = []
    edges = [since - _LOOK_BACK, *_changes(zone, since - _LOOK_BACK, until - _SECOND), until]
    for begin, end in pairwise(edges):
        offset = _offset(zone, begin)
        found.append(Period(begin, end, offset, begin + (found[-1].offset if found else offset)))
    return tuple(period for period in found if period.end > since)


def _changes(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the seconds in which the offset is another one than before, first by strides and then by halving."""
    while since < until:
        stride = min(since + _STRIDE, until)
        yield from _changes_within(zone, since, stride)
        since = stride


def _changes_within(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    if _offset(zone, since) == _offset(zone, until):
        return
    seconds = (until - since) // _SECOND
    if seconds == 1:
        yield until
        return
    middle = since + seconds // 2 * _SECOND
    yield from _changes_within(zone, since, middle)
    yield from _changes_within(zone, middle, until)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return zone.fromutc(moment.replace(tzinfo=zone)).replace(tzinfo=None) - moment
