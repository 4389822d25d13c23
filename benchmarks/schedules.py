"""How long one beat of each side takes to send what comes due at the same moment (D12)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import Side

COUNTS = (1_000, 10_000)
# Celery's beat compares all its entries before each message: twice as many take four times as long.
MOST = {"celery": 1_000}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both sides, show a table and write the figures."""
    return measure("schedules", __doc__, Measuring, arguments)


class Measuring:
    """Rounds in which all schedules are due at once, on both sides one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = sides
        self.record = record
        self.counts = COUNTS[:1] if options.quick else COUNTS

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for count in self.counts:
                for side in self.sides:
                    if count <= MOST.get(side.name, count):
                        self._measure(side, count)

    def _measure(self, side: Side, count: int) -> None:
        side.clear()
        seconds = side.produce("beat", count, "add")
        note(self.record, f"{count:,} due at the same moment", side, "one beat", 1000 * seconds, "ms")

    def remarks(self) -> str:
        """Say what is not shown."""
        return """\
Celery's beat keeps its entries in memory; ours writes a slot for each message and moves its row on. More than 1,000
are not measured with Celery: its beat compares all entries before each message, and 10,000 would take a quarter of
an hour.
"""


if __name__ == "__main__":
    sys.exit(main())
