"""How long one beat of each side takes to send what comes due at the same moment (D12)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import Side

COUNT = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both sides, show a table and write the figures."""
    return measure("schedules", __doc__, Measuring, arguments)


class Measuring:
    """Rounds in which all schedules are due at once, on both sides one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = sides
        self.record = record
        self.count = COUNT // 10 if options.quick else COUNT

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for side in self.sides:
                side.clear()
                seconds = side.produce("beat", self.count, "add")
                note(self.record, "due at the same moment", side, "one beat", self.count / seconds, "messages/s")

    def remarks(self) -> str:
        """Say what is not shown."""
        return "Celery's beat keeps its entries in memory; ours writes a slot for each message and moves its row on.\n"


if __name__ == "__main__":
    sys.exit(main())
