"""How fast djtasks works while few, many and very many messages wait, and with others in the way; and what it writes.

The queue is kept as full as it was: what has been worked off is added again by PostgreSQL itself. What is written is
counted over a whole run, with what was added: bytes of the server's log for each task, dead rows that only vacuum takes
away for each thousand, and how many of the updates of messages were heap-only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import Djtasks, Side
from benchmarks.steady import Backlog, Steady, Written, beside, ours


class Case(NamedTuple):
    """How many messages wait, of which kinds, and how many delayed ones of a higher priority stand before them."""

    what: str
    waiting: int = 10_000
    delayed: int = 0
    queues: int = 1
    priorities: int = 1


CASES = (
    Case("10,000 waiting"),
    Case("1,000,000 waiting", 1_000_000),
    Case("10,000,000 waiting", 10_000_000),
    Case("1,000,000 delayed in front", delayed=1_000_000),
    Case("100 queues", queues=100),
    Case("20 priorities", priorities=20),
    Case("50 queues of 20 priorities", queues=50, priorities=20),
)
QUICK = (CASES[0], Case("100,000 waiting", 100_000), Case("100,000 delayed in front", delayed=100_000))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table and write the figures."""
    return measure("backlogs", __doc__, Measuring, arguments)


class Measuring:
    """Rounds of all cases, one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.side: Djtasks = ours(sides)
        self.record = record
        self.cases = [case for case in (QUICK if options.quick else CASES) if options.only in case.what]
        self.warm_up, self.window = (1.0, 1.0) if options.quick else (2.0, 5.0)

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for case in self.cases:
                self._measure(case)
        self.side.clear()

    def _measure(self, case: Case) -> None:
        backlog = Backlog(self.side, queues=case.queues, priorities=case.priorities)
        backlog.fill(case.waiting, delayed=case.delayed)
        before = Written.by_now(self.side)
        with self.side.working(self.side.of_latency) as programs:
            (steady := Steady(backlog, programs)).begin(self.warm_up)
            rate = steady.rate(self.window)
        self._note(case.what, rate, "tasks/s")
        written, done = Written.by_now(self.side) - before, self.side.results()
        self._note(f"log, {case.what}", written.log / done, "bytes")
        self._note(f"dead, {case.what}", 1000 * written.left_for_vacuum / done, "per 1,000")
        self._note(f"heap-only, {case.what}", 100 * written.heap_only / written.updates, "%")

    def _note(self, what: str, figure: float, unit: str) -> None:
        note(self.record, what, self.side, self.side.of_latency, figure, unit)

    def remarks(self) -> str:
        """Compare each rate with the first, round by round."""
        rates = [series for series in self.record.series if series.unit == "tasks/s"]
        return "\n".join(beside(rates)) + "\n"


if __name__ == "__main__":
    sys.exit(main())
