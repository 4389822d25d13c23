"""What all rules have in common: a text to be kept as, and the next slot after a moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime

CRONTAB, CRON, INTERVAL, SOLAR, CLOCKED = KINDS = ("crontab", "cron", "interval", "solar", "clocked")

# Of a wall time that comes twice.
FIRST, BOTH = FOLDS = ("first", "both")


class Rule(ABC):
    """Says when something is due. All moments are aware and in UTC; a rule is a value and never changes."""

    # One of KINDS.
    kind: str
    # The name of a zone, or "" for the project's own.
    timezone: str = ""

    @property
    @abstractmethod
    def expression(self) -> str:
        """The text that, with the kind and the zone, makes this rule again."""

    @abstractmethod
    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """Return the first slot after a moment, or None where there is none any more.

        ``anchor`` is a slot, or when the schedule was made: from there intervals count.
        """
