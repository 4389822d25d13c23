"""How long a workflow takes from the call to its last result, and how much djtasks and Celery store for one.

What is stored is looked at when the workflow has been sent and nothing of it has run. That it is linear means that the
sizes lie on a straight line over the number of members (r² says how well they do), so that each further member takes
about as much as the one before.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

from benchmarks.report import Record, quantile
from benchmarks.running import BOTH, begin_round, failing, measure, note
from benchmarks.shapes import CHORDS, SHAPES
from benchmarks.sides import SIDES, Side

RUNS = {"chord": 1_000, "chain": 200}
SIZES = (10, 25, 50, 100)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the sides that have workflows, show tables and write the figures."""
    return measure(
        "workflows", __doc__, Measuring, arguments, [name for name, side in SIDES.items() if side.of_workflows]
    )


class Measuring:
    """Rounds of workflows that are run, each on all sides one after the other; then workflows that are only sent."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = sides
        self.record = record
        self.only = options.only
        self.runs = {shape: size // 10 for shape, size in RUNS.items()} if options.quick else RUNS
        self.curves: dict[tuple[str, str], list[int]] = {}

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for shape, size in self.runs.items():
                self._run(shape, size)
        for shape in (shape for shape in SHAPES if shape not in RUNS):
            self._send(shape)

    def _run(self, shape: str, size: int) -> None:
        what = f"{shape} of {size:,}, call to result"
        for side in self.sides:
            if reason := side.lacks.get(shape):
                self.record.lack(what, side.name, reason)
            for workers in () if reason else side.of_workflows:
                if self.only in f"{what} {side.name} {workers}":
                    with failing(self.record, what, side, workers):
                        self._time(what, side, workers, shape)

    def _time(self, what: str, side: Side, workers: str, shape: str) -> None:
        side.clear()
        with side.working(workers):
            seconds = side.produce("run", self.runs[shape], shape)
        note(self.record, what, side, workers, quantile(seconds, 50) * 1000, "ms")

    def _send(self, shape: str) -> None:
        for side in (side for side in self.sides if side.name in BOTH):
            for size in SIZES if self.only in f"stored, {shape} {side.name}" else ():
                side.clear()
                empty = side.stored()
                side.produce("send", size, shape)
                stored = side.stored() - empty
                self.curves.setdefault((shape, side.name), []).append(stored)
                note(self.record, f"stored, {shape} of {size}", side, "as sent", stored, "bytes")
            side.clear()

    def remarks(self) -> str:
        """Show how what is stored grows with the members."""
        return "\n".join(self._curves()) + "\n" if self.curves else ""

    def _curves(self) -> Iterator[str]:
        sizes = "".join(f"{f'of {size}':>12}" for size in SIZES)
        yield f"\n{'bytes stored as sent; for each further member':<54}{sizes}"
        members = [CHORDS * size for size in SIZES]
        for (shape, side), stored in self.curves.items():
            straight = statistics.correlation(members, stored) ** 2
            yield f"{shape:<42}{side:<12}" + "".join(f"{each:>12,}" for each in stored) + f"    r² {straight:.4f}"
            points = pairwise(zip(members, stored, strict=True))
            further = (round((more - less) / (many - few)) for (few, less), (many, more) in points)
            yield " " * 66 + "".join(f"{each:>12,}" for each in further)


if __name__ == "__main__":
    sys.exit(main())
