"""How long a request of Django's takes that writes a row, and how long if it sends a message, too, in one transaction.

The request goes through Django's handler and its middleware, in the process that measures: no network is in the way.
Where the queue is rows of the same database, the message is sent within the transaction; elsewhere when it has been
committed, and is lost if the process dies between the two.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.report import Record, quantile
from benchmarks.running import begin_round, failing, measure, note
from benchmarks.sides import ALL, Side

REQUESTS = 500
WHAT = {"none": "request, which sends nothing", "one": "request, which sends a message"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sides, show a table and write the figures."""
    return measure("requests", __doc__, Measuring, arguments, ALL)


class Measuring:
    """Rounds of requests, each of all sides one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = sides
        self.record = record
        self.count = REQUESTS // 10 if options.quick else REQUESTS

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for side in self.sides:
                with failing(self.record, "request", side, "in a transaction"):
                    self._measure(side)

    def _measure(self, side: Side) -> None:
        side.clear()
        for messages, seconds in side.answer_requests(self.count).items():
            note(self.record, WHAT[messages], side, "in a transaction", 1000 * quantile(seconds, 50), "ms")

    def remarks(self) -> str:
        """Say nothing that the table does not show."""
        return ""


if __name__ == "__main__":
    sys.exit(main())
