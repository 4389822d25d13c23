"""Names of tasks that are not registered here: for a while nothing of that name is received (E9)."""

from __future__ import annotations

import math
import time

# Whoever fills a queue with invented names must not make every reservation long.
MOST_NAMES = 100


class Strangers:
    """Which names this worker leaves to others, and until when."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def meet(self, name: str, delay: float, grace: float) -> None:
        """Leave a name alone, of which a message was given back for ``delay`` seconds and may wait for ``grace``.

        That is longer than the message itself waits, so that whoever knows the name receives it first; but when its
        grace is over, it is to be received in any case.
        """
        if name in self._until or len(self._until) < MOST_NAMES:
            until = time.monotonic() + max(delay, min(2 * delay, grace))
            self._until[name] = max(until, self._until.get(name, 0.0))

    def names(self, now: float) -> tuple[str, ...]:
        """Return the names to leave alone now."""
        if self._until:
            self._until = {name: until for name, until in self._until.items() if until > now}
        return tuple(self._until)

    def until(self) -> float:
        """Return the moment of time.monotonic() from which one of them may be received again."""
        return min(self._until.values(), default=math.inf)
