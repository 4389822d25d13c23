"""Ask for messages, and remember how far the index has been read.

Under a long snapshot the dead entries at the head of the index stay, and to step over them again for every batch is
what ruins a queue in a database. A remembered position begins behind them. It is a hint only: late commits, retries,
lapsed leases and higher priorities lie below it, so the index is read from its start as often as costs little.
"""

from __future__ import annotations

import time

from djtasks.domain.messages import Mark, Supply

START_SHARE = 20


class Positions:
    """The remembered position of each queue and priority, and when to begin anew."""

    def __init__(self, poll_seconds: float) -> None:
        self.poll_seconds = poll_seconds
        self._marks: dict[tuple[str, int], Mark] = {}
        self._cost = 0.0
        self._read_from_start_at = float("-inf")

    def marks(self) -> tuple[Mark, ...] | None:
        """Say where to begin: None is the start, which may take one part in twenty of the time."""
        if not self._marks or self.until_start() <= 0:
            return None
        return tuple(self._marks.values())

    def until_start(self) -> float:
        """Return the seconds until the start may be read again."""
        rest = min(self.poll_seconds, START_SHARE * self._cost)
        return self._read_from_start_at + rest - time.monotonic()

    def learn(self, supply: Supply, marks: tuple[Mark, ...] | None, seconds: float) -> None:
        """Remember what a reading that took ``seconds`` has passed."""
        if marks is None:
            self._marks.clear()
            self._read_from_start_at = time.monotonic()
            self._cost = seconds
        for message in supply.reservations:
            pair = (message.queue, message.priority)
            mark = Mark(message.queue, message.priority, message.due_at, message.id)
            if pair not in self._marks or (mark.due_at, mark.id) > self._marks[pair][2:]:
                self._marks[pair] = mark

    def forget(self) -> None:
        """Begin anew: the queues have changed, or something was put back."""
        self._marks.clear()
