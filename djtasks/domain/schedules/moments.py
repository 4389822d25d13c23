"""Single moments: due once, and never again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from djtasks.domain.schedules.rules import CLOCKED, Rule
from djtasks.domain.schedules.zones import LAST_YEAR, instant_of, zone_name, zone_named


@dataclass(frozen=True, init=False, repr=False)
class clocked(Rule):
    """Due at one moment; what is naive is read in the zone, as the fixed times of a crontab are."""

    kind = CLOCKED
    moment: datetime
    timezone: str

    def __init__(self, moment: datetime, tz: str | ZoneInfo | None = None) -> None:
        if not isinstance(moment, datetime):
            raise TypeError(f"clocked() takes a datetime, not {moment!r:.80}")
        try:
            # The text knows nothing of folds.
            kept = moment.astimezone(UTC) if moment.tzinfo else moment.replace(fold=0)
            vars(self).update(moment=kept, timezone=zone_name(tz))
            year = self._due.year
        except OverflowError:
            year = None
        if year is None or year > LAST_YEAR:
            raise ValueError(f"{moment} is not between the years 1 and {LAST_YEAR}")

    @classmethod
    def from_string(cls, text: str, tz: str | ZoneInfo | None = None) -> clocked:
        """Make a rule from a date and time as ISO 8601 writes them."""
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ValueError(f"{text!r:.80} is no moment; write one such as 2026-10-25T02:30 or with +01:00") from None
        return cls(moment, tz)

    @property
    def expression(self) -> str:
        return self.moment.isoformat()

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """Return the moment while it is still to come."""
        return self._due if self._due > moment else None

    @property
    def _due(self) -> datetime:
        return self.moment if self.moment.tzinfo else instant_of(self.moment, zone_named(self.timezone or "UTC"))

    def __repr__(self) -> str:
        zone = f", tz={self.timezone!r}" if self.timezone else ""
        return f"clocked({self.moment!r}{zone})"
