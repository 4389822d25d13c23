"""Ask for messages, and remember how far the index has been read.

Under a long snapshot the dead entries at the head of the index stay, and to step over them again for every batch is
what ruins a queue in a database. A remembered position begins behind them. It is a hint only: late commits, retries,
lapsed leases and higher priorities lie below it, so the index is read from its start as often as costs little.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from djtasks.domain.messages import Mark, Supply

START_SHARE = 20
LONGEST_REST = 60.0
# A transaction that takes longer to commit is found by the next reading from the start.
COMMIT_SECONDS = 2.0
FIRST_ID = "00000000-0000-0000-0000-000000000000"

Pair = tuple[str, int]


class Positions:
    """The remembered position of each queue and priority, and when to begin anew.

    ``selective`` readings leave messages of some tasks where they are: that head may be long, so they also remember
    the moment until which they have found nothing more, and begin anew as seldom as that costs.
    """

    def __init__(self, poll_seconds: float, *, selective: bool = False) -> None:
        self.selective = selective
        self.longest_rest = LONGEST_REST if selective else poll_seconds
        self.since: float | None = None
        self._marks: dict[Pair, Mark] = {}
        self._cost = 0.0
        self._cut_short = False
        self._read_from_start_at = float("-inf")

    def marks(self) -> tuple[Mark, ...] | None:
        """Say where to begin: None is the start, which may take one part in twenty of the time, or is worth more."""
        if (not self._marks and self.since is None) or self.until_start() <= 0:
            return None
        return tuple(self._marks.values())

    def beginning(self) -> tuple[tuple[Mark, ...] | None, float | None]:
        """Say where to begin, and for what has no mark since when; (None, None) is the start of everything."""
        marks = self.marks()
        return marks, None if marks is None else self.since

    def until_start(self) -> float:
        """Return the seconds until the start may be read again."""
        rest = min(self.longest_rest, START_SHARE * self._cost)
        return self._read_from_start_at + rest - time.monotonic()

    def until_look(self, supply: Supply, marks: tuple[Mark, ...] | None) -> float:
        """Return the seconds, after a reading that began there, until more may be there without being announced."""
        if marks is not None:
            return max(0.0, self.until_start())
        return math.inf if supply.next_due is None else supply.next_due

    def learn(self, supply: Supply, marks: tuple[Mark, ...] | None, seconds: float, *, full: bool) -> None:
        """Remember what a reading that took ``seconds`` has passed: all that there was, unless its limit is full."""
        if marks is None:
            self.forget()
            self._read_from_start_at = time.monotonic()
            self._cost = seconds
            # Selective ones read all of them in any case.
            self._cut_short = full and not self.selective
        elif self._cut_short and not full:
            # Of the queues and priorities that have no mark yet, others may be full.
            self._read_from_start_at = float("-inf")
        if self.selective and not full and supply.read_at is not None:
            self._marks.clear()
            self.since = supply.read_at - COMMIT_SECONDS
            return
        for message in supply.reservations:
            pair = (message.queue, message.priority)
            mark = Mark(message.queue, message.priority, message.due_at, message.id)
            if pair not in self._marks or (mark.due_at, mark.id) > self._marks[pair][2:]:
                self._marks[pair] = mark

    def forget(self) -> None:
        """Begin anew: the queues have changed, or something was put back."""
        self._marks.clear()
        self.since = None

    def at(self, pair: Pair) -> Mark:
        """Return the mark of a queue and priority, also of one that has none of its own."""
        return self._marks.get(pair) or Mark(*pair, self.since or 0.0, FIRST_ID)

    def pairs(self) -> set[Pair]:
        """Return the queues and priorities that have marks of their own."""
        return set(self._marks)


def beginning_of(those: Sequence[Positions]) -> tuple[tuple[Mark, ...] | None, float | None]:
    """Say where a reading for several begins: everywhere with the one that has read least."""
    if any(each.marks() is None for each in those):
        return None, None
    pairs = set().union(*(each.pairs() for each in those))
    marks = [min((each.at(pair) for each in those), key=lambda mark: (mark.due_at, mark.id)) for pair in pairs]
    return tuple(marks), min(each.since or 0.0 for each in those)
