"""A worker of djtasks at work while as many messages wait as before: what was worked off is added again.

The messages are made by PostgreSQL itself, since ten million calls would take a quarter of an hour. What that costs is
the same at each size, and part of what is measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.programs import Program
from benchmarks.report import Series
from benchmarks.sides import Djtasks, Side

# As drains are looked at: at most this share of one core, and the queue must not run empty between two looks.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.2
LOOKING_SHARE = 0.05
PATIENCE = 60.0

# Ids as they are made: the time in milliseconds, and chance.
FILL = """
INSERT INTO djtasks_message (id, task, args, queue, priority, due_at, acks_late)
SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(n || clock_timestamp()::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
    'benchmarks.tasks.' || %(task)s, '[' || n || ',' || n || ']', 'queue_' || n %% %(queues)s,
    %(priority)s + n / %(queues)s %% %(priorities)s,
    now() + %(delay)s * interval '1 s' - (%(count)s - n) * interval '1 us', %(task)s = 'add_late'
FROM generate_series(1, %(count)s) AS n
"""
COUNTED = """
SELECT pg_current_wal_insert_lsn() - '0/0', n_tup_upd, n_tup_hot_upd, n_tup_del
FROM pg_stat_user_tables WHERE relname = 'djtasks_message'
"""


def ours(sides: Sequence[Side]) -> Djtasks:
    """Return the side of djtasks."""
    return next(side for side in sides if isinstance(side, Djtasks))


class Backlog(NamedTuple):
    """Messages that wait, spread evenly over queues and priorities."""

    side: Djtasks
    task: str = "add_late"
    queues: int = 1
    priorities: int = 1

    def add(self, count: int, *, priority: int = 0, delay: float = 0.0) -> None:
        """Let so many more wait."""
        values = {"count": count, "priority": priority, "delay": delay, "task": self.task}
        self.side.connection.execute(FILL, values | {"queues": self.queues, "priorities": self.priorities})

    def fill(self, count: int, *, delayed: int = 0) -> None:
        """Let so many wait, and no others, but for those that are delayed for a day and of a higher priority."""
        self.side.clear()
        if delayed:
            self.add(delayed, priority=50, delay=86_400.0)
        self.add(count)
        # As after any large load; the figures begin behind it.
        self.side.connection.execute("CHECKPOINT")


class Looks:
    """Looks at what the workers of a side have ended."""

    def __init__(self, side: Side, programs: Sequence[Program]) -> None:
        self.side = side
        self.programs = programs
        self.done = 0
        self._moved_at = time.monotonic()

    def begin(self, warm_up: float) -> None:
        """Wait until some tasks have ended and the time to warm up is over."""
        while not self.done:
            self._look()
        self._look_for(warm_up)

    def rate(self, window: float) -> float:
        """Return how many tasks end in a second."""
        began_at, before = self._look()
        ended_at, after = self._look_for(window)
        return (after - before) / (ended_at - began_at)

    def until(self, count: int) -> None:
        """Wait until so many tasks have ended."""
        while self.done < count:
            self._look()

    def _look_for(self, seconds: float) -> tuple[float, int]:
        began_at = time.monotonic()
        while (look := self._look())[0] < began_at + seconds:
            pass
        return look

    def _look(self) -> tuple[float, int]:
        """Return when this was and how many tasks had ended."""
        for program in self.programs:
            program.check()
        asked_at = time.monotonic()
        seen, now = self.side.results(), time.monotonic()
        if seen > self.done:
            self._moved_at = now
            self._make_up_for(seen - self.done)
        elif now - self._moved_at > PATIENCE:
            raise RuntimeError(f"{self.side.title} stands at {seen} results")
        self.done = seen
        time.sleep(min(LONGEST_PAUSE, max(SHORTEST_PAUSE, (now - asked_at) / LOOKING_SHARE)))
        return (asked_at + now) / 2, seen

    def _make_up_for(self, ended: int) -> None:
        """Do nothing more: fewer wait with each look."""


class Steady(Looks):
    """Looks at a worker of djtasks and fills up its queue."""

    def __init__(self, backlog: Backlog, programs: Sequence[Program]) -> None:
        super().__init__(backlog.side, programs)
        self.backlog = backlog

    def _make_up_for(self, ended: int) -> None:
        self.backlog.add(ended)


class Written(NamedTuple):
    """What the server has counted of its log, and of the rows of messages; exact when no worker runs."""

    log: int
    updates: int
    heap_only: int
    deletes: int

    @classmethod
    def by_now(cls, side: Djtasks) -> Written:
        """Ask the server."""
        return cls(*map(int, side.connection.execute(COUNTED).fetchone() or ()))

    def __sub__(self, earlier: Written) -> Written:
        return Written(*(now - then for now, then in zip(self, earlier, strict=True)))

    @property
    def left_for_vacuum(self) -> int:
        """Dead rows that nothing else takes away: what a heap-only update leaves, the next reader of the page does."""
        return self.deletes + self.updates - self.heap_only


def beside(series: Iterable[Series]) -> Iterator[str]:
    """Compare each with the first, round by round: all of a round had the same weather."""
    first, *others = series
    yield f"\n{'beside ' + first.what + ', ' + first.way:<62}{'ratio':>10}"
    for each in others:
        ratios = [figure / of_first for figure, of_first in zip(each.rounds, first.rounds, strict=True)]
        yield f"{each.what + ', ' + each.way:<62}{statistics.median(ratios):>10.2f} x"
