"""Events of the sun at a place on Earth (BEAT-6), reckoned with the optional library astral."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from djtasks.domain.schedules.rules import SOLAR, Rule
from djtasks.domain.schedules.zones import EARLIEST, LAST_YEAR, naive, zone_name
from djtasks.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from astral import Observer

# How high the sun stands then, in degrees: rising through it before noon, or setting through it afterwards. The rim of
# the sun shows while its middle is still below, and the air bends its light.
_RISING = {"dawn_astronomical": -18.0, "dawn_nautical": -12.0, "dawn_civil": -6.0, "sunrise": -0.833}
_SETTING = {"sunset": -0.833, "dusk_civil": -6.0, "dusk_nautical": -12.0, "dusk_astronomical": -18.0}
EVENTS = (*_RISING, "solar_noon", *_SETTING)

_DAY = timedelta(days=1)
_HALF_DAY = timedelta(hours=12)
_SECOND = timedelta(seconds=1)
# Near the poles some events happen once a year.
_LONGEST_WAIT = 370


@dataclass(frozen=True, init=False, repr=False)
class solar(Rule):
    """Due at an event of the sun; on days on which it does not happen, near the poles, nothing is due."""

    kind = SOLAR
    event: str
    lat: float
    lon: float
    timezone: str

    def __init__(self, event: str, lat: float, lon: float, tz: str | ZoneInfo | None = None) -> None:
        if event not in EVENTS:
            raise ValueError(f"the sun has no event {event!r:.80}; write one of {', '.join(EVENTS)}")
        vars(self).update(
            event=event,
            lat=_degrees("latitude", lat, 90),
            lon=_degrees("longitude", lon, 180),
            timezone=zone_name(tz),
        )

    @classmethod
    def from_string(cls, text: str, tz: str | ZoneInfo | None = None) -> solar:
        """Make a rule from an event, a latitude and a longitude."""
        try:
            event, lat, lon = text.split()
            place = float(lat), float(lon)
        except ValueError:
            raise ValueError(
                f"{text!r:.80} is no event of the sun; write event, latitude and longitude, as sunrise 48.8566 2.3522"
            ) from None
        return cls(event, *place, tz)

    @property
    def expression(self) -> str:
        return f"{self.event} {self.lat!r} {self.lon!r}"

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """Return the next time that the event happens, or None where it does not within a year."""
        try:
            from astral import Observer
        except ImportError:
            raise ImproperlyConfigured("solar schedules need astral: pip install djtasks[solar]") from None
        observer = Observer(self.lat, self.lon)
        today = max(naive(moment), EARLIEST).date()
        for days in range(-1, _LONGEST_WAIT):
            day = today + days * _DAY
            if day.year > LAST_YEAR:
                break
            due = self._on(day, observer)
            if due and due > moment:
                return due
        return None

    def _on(self, day: date, observer: Observer) -> datetime | None:
        """Return when the event happens around the noon of a day.

        Sought by halving: the library's own ways go by the dates of UTC, and miss what wanders over midnight there.
        """
        from astral.sun import elevation, noon

        middle = noon(observer, day)
        if self.event == "solar_noon":
            return middle
        if self.event in _RISING:
            height, low = _RISING[self.event], middle - _HALF_DAY
        else:
            height, low = _SETTING[self.event], middle + _HALF_DAY

        def is_up(instant: datetime) -> bool:
            return elevation(observer, instant, with_refraction=False) >= height

        high = middle
        if is_up(low) or not is_up(high):
            return None
        while abs(high - low) > _SECOND:
            half = low + (high - low) / 2
            low, high = (low, half) if is_up(half) else (half, high)
        return high.replace(microsecond=0)

    def __repr__(self) -> str:
        zone = f", tz={self.timezone!r}" if self.timezone else ""
        return f"solar({self.event!r}, {self.lat!r}, {self.lon!r}{zone})"


def _degrees(name: str, given: float, most: int) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"{name} is a number, not {given!r:.80}")
    if not (isfinite(given) and -most <= given <= most):
        raise ValueError(f"{name} is from -{most} to {most}, unlike {given!r:.80}")
    # No place has two names: minus zero is zero.
    return float(given) + 0.0
