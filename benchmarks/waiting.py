"""How fast queues on PostgreSQL are worked off while many messages wait, and while somebody holds a snapshot open.

Each queue is filled by its own way to send many, and nothing is added while it is looked at. A snapshot is what a long
report or a dump holds: dead rows and index entries stay for as long as it lasts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from benchmarks.report import Record
from benchmarks.running import begin_round, failing, measure, note
from benchmarks.sides import ALL, OnPostgres, Side
from benchmarks.steady import Looks, beside

FEW, MANY = 200_000, 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sides that can send many at once, show a table and write the figures."""
    return measure("waiting", __doc__, Measuring, arguments, ALL)


class Measuring:
    """Rounds of looks at few, at many, and at many under a snapshot, of all sides one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = [side for side in sides if isinstance(side, OnPostgres) and side.of_backlogs]
        self.record = record
        shorter = 10 if options.quick else 1
        self.few, self.many = FEW // shorter, MANY // shorter
        self.warm_up, self.window, self.hold = (0.5, 0.5, 1.0) if options.quick else (1.0, 3.0, 10.0)

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for side in self.sides:
                for count in (self.few, self.many):
                    with failing(self.record, f"{count:,} waiting", side, side.of_backlogs):
                        self._measure(side, count)
                side.clear()

    def _measure(self, side: OnPostgres, count: int) -> None:
        what, workers = f"{count:,} waiting", side.of_backlogs
        mode = "late" if "late" in side.modes else "early"
        side.clear()
        side.produce("fill", count, "add" + side.modes[mode])
        # As the server does by itself, but a minute later.
        side.connection.execute("ANALYZE")
        with side.working(workers) as programs:
            looks = Looks(side, programs)
            looks.begin(self.warm_up)
            note(self.record, what, side, workers, looks.rate(self.window), "tasks/s")
            if count == self.many:
                with snapshot(side):
                    looks.rate(self.hold)
                    rate = looks.rate(self.window)
                note(self.record, f"{what}, {self.hold:.0f} s under a snapshot", side, workers, rate, "tasks/s")
            if not side.left():
                raise RuntimeError(f"{side.title} has no more messages: what was measured was not all work")

    def remarks(self) -> str:
        """Compare each side with itself, round by round."""
        lines: list[str] = []
        for side in self.sides:
            lines += beside(each for each in self.record.series if each.side == side.name)
        return "\n".join(lines) + "\n"


@contextmanager
def snapshot(side: OnPostgres) -> Iterator[None]:
    """Hold a snapshot as a long report does."""
    with psycopg.connect(side.database) as report:
        report.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        report.execute(f"SELECT FROM {side.tables[0]} LIMIT 1".encode())
        yield


if __name__ == "__main__":
    sys.exit(main())
