"""How fast each side takes messages in, works them off and answers, in interleaved rounds; nothing is quoted.

A drain is measured by looking at the number of stored results, in the same way on all sides; where none are kept, at
the number of messages that have gone. The queue is full before the workers start. The window opens a second after the
first end that is seen, when all processes are up, and closes with the last look that saw some still missing. In the end
all results must be there and no message left.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest

from benchmarks.bodies import KINDS
from benchmarks.draining import Draining
from benchmarks.limits import PGBENCH, inserts, works
from benchmarks.programs import MissingProgram
from benchmarks.report import Record, quantile
from benchmarks.running import begin_round, failing, measure, note
from benchmarks.sides import ALL, Djtasks, Side

MODES = {
    "late": "drain, late acknowledgement",
    "early": "drain, early acknowledgement",
    # Late where a side has both.
    "no result kept": "drain, no result kept",
}
ONE_BY_ONE = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sides, show a table and write the figures."""
    return measure("drain", __doc__, Measuring, arguments, ALL)


class Measuring:
    """Rounds of measurements, each of all sides one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = sides
        self.record = record
        self.options = options
        self.calls = 50 if options.quick else 200
        self.draining = Draining(0.3, 0.5, shorter=10) if options.quick else Draining(1.0, 3.0)

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.options.rounds + 1):
            begin_round(self.record, number)
            for what in (self._limits, self._enqueue, self._drain, self._drain_others, self._latency):
                what()

    def remarks(self) -> str:
        """Say nothing that the table does not show."""
        return ""

    def _limits(self) -> None:
        """Let pgbench send our own statements: what is left of it is Python's share."""
        times = 400 if self.options.quick else 4_000
        for side in self.sides:
            if isinstance(side, Djtasks):
                insert, work = partial(inserts, side, 1, times), partial(works, side, 2, times // 8, 100)
                self._limit("enqueue one by one", "our statement, a commit each", insert)
                self._limit(MODES["late"], "our statements, 100 at a time, twice", work)

    def _limit(self, what: str, way: str, measured: Callable[[], float]) -> None:
        if self.options.only in what:
            try:
                self.record.note(what, "tasks/s", PGBENCH, way, measured())
            except MissingProgram as error:
                self.record.lack(what, PGBENCH, str(error).splitlines()[0])

    def _enqueue(self) -> None:
        shorter = 10 if self.options.quick else 1
        for side in self.sides:
            if self._wanted("enqueue one by one", side):
                side.clear()
                count = ONE_BY_ONE // shorter
                self._note(
                    "enqueue one by one", side, "one call each", count / side.produce("one by one", count, "add")
                )
            if self._wanted("enqueue in bulk", side):
                side.clear()
                count = side.bulk // shorter
                for way, seconds in side.produce("in bulk", count, "add").items():
                    self._note("enqueue in bulk", side, way, count / seconds)
            side.clear()

    def _drain(self) -> None:
        """Work off what does nothing, with all workers."""
        for mode, what in MODES.items() if "no-op" in self.options.tasks else ():
            for side, workers in interleaved(self.sides):
                if self._wanted(what, side, workers, mode):
                    self._rate(what, side, workers, mode, "no-op")

    def _drain_others(self) -> None:
        """Work off what takes its time, each with the workers that it is for."""
        for kind in (kind for kind in self.options.tasks if kind != "no-op"):
            what = f"drain, {KINDS[kind].title}"
            for side in self.sides:
                workers = side.of_waiting if kind == "50ms" else side.of_computing
                if self._wanted(what, side, workers):
                    self._rate(what, side, workers, "late" if "late" in side.modes else "early", kind)

    def _rate(self, what: str, side: Side, workers: str, mode: str, kind: str) -> None:
        with failing(self.record, what, side, workers):
            self._note(what, side, workers, self.draining.rate(side, workers, mode, kind))

    def _latency(self) -> None:
        for how, what in (("latency", "call to start of body"), ("round trip", "call to result")):
            for side in (side for side in self.sides if self._wanted(what, side, side.of_latency)):
                side.clear()
                with failing(self.record, what, side, side.of_latency):
                    with side.working(side.of_latency):
                        seconds = side.produce(how, self.calls, "begin")
                    for share in (50, 99):
                        self._note(f"{what}, p{share}", side, side.of_latency, quantile(seconds, share) * 1000, "ms")

    def _note(self, what: str, side: Side, way: str, figure: float, unit: str = "tasks/s") -> None:
        note(self.record, what, side, way, figure, unit)

    def _wanted(self, what: str, side: Side, way: str = "", lacking: str = "") -> bool:
        """Say whether to measure this; where a side has nothing of the kind, note why."""
        if self.options.only not in f"{what} {side.name} {way}":
            return False
        if reason := side.lacks.get(lacking or what):
            self.record.lack(what, side.name, reason)
        return not reason


def interleaved(sides: Sequence[Side]) -> list[tuple[Side, str]]:
    """Return all workers of all sides, by turns."""
    turns = zip_longest(*([(side, workers) for workers in side.workers] for side in sides))
    return [pair for turn in turns for pair in turn if pair]


if __name__ == "__main__":
    sys.exit(main())
