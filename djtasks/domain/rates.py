"""Rate limits as Celery writes them ("10/s", "10/m", "10/h", or a number of runs per second), and how they are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

Rate = float | str | None

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*([smh]))?\s*")


def rate_of(rate: Rate) -> float | None:
    """Read a rate limit as runs per second, or None for no limit; raise TypeError or ValueError for what is none."""
    if rate is None or rate == "":
        return None
    if isinstance(rate, str):
        if not (written := _WRITTEN.fullmatch(rate)):
            raise ValueError(f"{rate!r:.80} is no rate limit: write 10/s, 10/m, 10/h, or a number of runs per second")
        rate = float(written[1]) / _SECONDS[written[2] or "s"]
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise TypeError(f"a rate limit is a text such as 10/m or a number of runs per second, not {rate!r:.80}")
    if not 0 <= rate < inf:
        raise ValueError(f"a rate limit of {rate!r} runs per second is none")
    return float(rate) or None


@dataclass(slots=True)
class Bucket:
    """A bucket into which tokens fall at a rate, and that holds one: what was not begun in time is not made up for."""

    rate: float
    token_at: float = -inf

    def until_token(self, now: float) -> float:
        """Return the seconds until there is a token."""
        return max(0.0, self.token_at - now)

    def take(self, now: float) -> None:
        """Take the token, or the next one where there is none."""
        self.token_at = max(now, self.token_at) + 1 / self.rate
