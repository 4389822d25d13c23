"""When to run again: after a failure, after a loss, after a name that nobody knew."""

from __future__ import annotations

from collections.abc import Callable
from random import randrange

_LONGEST_WAIT = 60.0


def backoff_seconds(
    factor: float, retries: int, maximum: float, jitter: bool, random: Callable[[int], int] = randrange
) -> int:
    """Return the delay before a retry: doubled each time, capped, with jitter a draw from zero to that (RETRY-9)."""
    # No cap is so high that the 62nd doubling matters, but its exponent may grow for ever.
    ceiling = max(0, min(int(maximum), int(max(1, factor)) * 2 ** min(retries, 62)))
    return random(ceiling + 1) if jitter else ceiling


def exhausted(retries: int, max_retries: int | None) -> bool:
    """Tell whether one more retry is one too many; None allows any number (RETRY-4)."""
    return max_retries is not None and retries + 1 > max_retries


def redelivery_delay(losses: int) -> float:
    """Return the seconds to wait after the nth loss, so that a body that kills its worker does not do so in a row."""
    return min(_LONGEST_WAIT, 4.0 ** min(losses - 2, 8)) if losses > 0 else 0.0


def unknown_task_delay(age_seconds: float) -> float:
    """Return the seconds until a name unknown here is tried again: half its age, so that a deployment has time."""
    return min(_LONGEST_WAIT, max(1.0, age_seconds / 2))
