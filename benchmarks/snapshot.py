"""How fast djtasks works while a report holds a snapshot open, so that nothing that is dead can be taken away.

A worker works at a queue that is kept as full as it was. It is measured, a transaction reads the queue at REPEATABLE
READ and stays open, 100,000 tasks pass, and it is measured again; then once more without such a transaction.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import Djtasks, Side
from benchmarks.steady import Backlog, Steady, beside, ours
from benchmarks.waiting import snapshot

WAITING = 20_000
PASSED = 100_000
BEFORE, AFTER, WITHOUT = "before", "after {:,}, snapshot", "after {:,}, none"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table and write the figures."""
    return measure("snapshot", __doc__, Measuring, arguments)


class Measuring:
    """Rounds of drains under a snapshot, and without one, with each of some workers."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.side: Djtasks = ours(sides)
        self.record = record
        self.only = options.only
        self.passed = PASSED // 10 if options.quick else PASSED
        self.warm_up, self.window = (1.0, 1.0) if options.quick else (2.0, 3.0)

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for workers in (self.side.of_latency, "solo"):
                for task in ("add_late", "add"):
                    if self.only in f"{task} {workers}":
                        self._measure(workers, task, held=True)
                        self._measure(workers, task, held=False)
        self.side.clear()

    def _measure(self, workers: str, task: str, *, held: bool) -> None:
        what = "late" if task == "add_late" else "early"
        backlog = Backlog(self.side, task)
        backlog.fill(WAITING)
        with self.side.working(workers) as programs:
            (steady := Steady(backlog, programs)).begin(self.warm_up)
            before = steady.rate(self.window)
            with snapshot(self.side) if held else nullcontext():
                steady.until(steady.done + self.passed)
                after = steady.rate(self.window)
        if held:
            note(self.record, f"{what}, {BEFORE}", self.side, workers, before, "tasks/s")
        passed = (AFTER if held else WITHOUT).format(self.passed)
        note(self.record, f"{what}, {passed}", self.side, workers, after, "tasks/s")

    def remarks(self) -> str:
        """Compare with before, round by round."""
        lines: list[str] = []
        for first in (series for series in self.record.series if series.what.endswith(BEFORE)):
            mode = first.what.removesuffix(BEFORE)
            lines += beside(each for each in self.record.series if each.way == first.way and each.what.startswith(mode))
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
