"""How fast each side takes messages in, works them off and answers, in interleaved rounds; nothing is quoted.

A drain is measured by looking at the number of stored results, in the same way on both sides. The queue is full before
the workers start. The window opens a second after the first result, when all processes are up, and closes with the last
look that saw results still missing. In the end all results must be there and no message left.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from benchmarks.programs import Program
from benchmarks.report import Record, quantile
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import Side

MODES = {"late": "add_late", "early": "add"}
AT_FIRST = 5_000
ONE_BY_ONE = 2_000
SHORTEST_PAUSE = 0.02
# Looking costs the server something: at most this share of one core, on either side.
LOOKING_SHARE = 0.05
PATIENCE = 60.0


class TooShort(Exception):
    """A drain was over before it could be measured; says how many messages would do."""

    def __init__(self, enough: int) -> None:
        super().__init__(f"{enough:,} messages are needed")
        self.enough = enough


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both sides, show a table and write the figures."""
    return measure("drain", __doc__, Measuring, arguments)


class Measuring:
    """Rounds of measurements, each of both sides one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = sides
        self.record = record
        self.options = options
        options.warm_up, options.window = (0.5, 1.0) if options.quick else (1.0, 3.0)
        options.calls = 50 if options.quick else 200
        self._enough: dict[tuple[str, str, str], int] = {}

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.options.rounds + 1):
            begin_round(self.record, number)
            for what in (self._enqueue, self._drain, self._latency):
                what()

    def remarks(self) -> str:
        """Say nothing that the table does not show."""
        return ""

    def _enqueue(self) -> None:
        for side in self.sides:
            shorter = 10 if self.options.quick else 1
            if self._wanted("enqueue one by one"):
                side.clear()
                count = ONE_BY_ONE // shorter
                self._note("enqueue one by one", side, "delay", count / side.produce("one by one", count, "add"))
            if self._wanted("enqueue in bulk"):
                side.clear()
                count = side.bulk // shorter
                for way, seconds in side.produce("in bulk", count, "add").items():
                    self._note("enqueue in bulk", side, way, count / seconds)
            side.clear()

    def _drain(self) -> None:
        for mode, task in MODES.items():
            what = f"drain, {mode} acknowledgement"
            for side, workers in interleaved(self.sides):
                if self._wanted(f"{what} {side.name} {workers}"):
                    self._note(what, side, workers, self._rate(side, workers, task))

    def _rate(self, side: Side, workers: str, task: str) -> float:
        while True:
            count = self._enough.setdefault((side.name, workers, task), AT_FIRST)
            try:
                return self._drain_once(side, workers, task, count)
            except TooShort as error:
                self._enough[side.name, workers, task] = error.enough

    def _drain_once(self, side: Side, workers: str, task: str, count: int) -> float:
        """Work off so many messages; return how many a second."""
        side.clear()
        side.produce("fill", count, task)
        if side.left() != count:
            raise RuntimeError(f"{side.title} holds {side.left()} messages of {count}")
        with side.working(workers) as programs:
            looks = self._watch(side, count, programs)
            wait_for_nothing_left(side, workers)
        return self._speed(looks, count)

    def _watch(self, side: Side, count: int, programs: Sequence[Program]) -> list[tuple[float, int]]:
        """Look until all results are there; return what was seen when."""
        looks: list[tuple[float, int]] = []
        while not looks or looks[-1][1] < count:
            for program in programs:
                program.check()
            asked_at = time.monotonic()
            seen, now = side.results(), time.monotonic()
            if not looks or seen > looks[-1][1]:
                moved_at = now
            if now - moved_at > PATIENCE:
                raise RuntimeError(f"{side.title} stands at {seen} results of {count}")
            looks.append(((asked_at + now) / 2, seen))
            time.sleep(max(SHORTEST_PAUSE, (now - asked_at) / LOOKING_SHARE))
        return looks

    def _speed(self, looks: list[tuple[float, int]], count: int) -> float:
        running = [look for look in looks if 0 < look[1] < count]
        first = running[0][0] if running else looks[-1][0]
        window = [look for look in running if look[0] >= first + self.options.warm_up]
        seconds = window[-1][0] - window[0][0] if len(window) > 1 else 0.0
        if seconds < self.options.window:
            whole = max(looks[-1][0] - first, SHORTEST_PAUSE)
            needed = self.options.warm_up + self.options.window
            raise TooShort(int(count * min(10.0, max(1.3, needed / whole * 1.4))))
        return (window[-1][1] - window[0][1]) / seconds

    def _latency(self) -> None:
        for side in self.sides:
            for how, what in (("latency", "call to start of body"), ("round trip", "call to result")):
                if not self._wanted(what):
                    continue
                side.clear()
                with side.working(side.of_latency):
                    seconds = side.produce(how, self.options.calls, "begin")
                for share in (50, 99):
                    self._note(f"{what}, p{share}", side, side.of_latency, quantile(seconds, share) * 1000, "ms")

    def _note(self, what: str, side: Side, way: str, figure: float, unit: str = "tasks/s") -> None:
        note(self.record, what, side, way, figure, unit)

    def _wanted(self, what: str) -> bool:
        return self.options.only in what


def interleaved(sides: Sequence[Side]) -> list[tuple[Side, str]]:
    """Return all workers of all sides, by turns."""
    longest = max(len(side.workers) for side in sides)
    columns = [list(side.workers) for side in sides]
    return [
        (side, column[row])
        for row in range(longest)
        for side, column in zip(sides, columns, strict=True)
        if row < len(column)
    ]


def wait_for_nothing_left(side: Side, workers: str) -> None:
    """Wait for the last acknowledgement, which Celery writes after the result."""
    deadline = time.monotonic() + PATIENCE
    while side.left():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{side.title}, {workers}: {side.left()} messages are left though all results are there")
        time.sleep(SHORTEST_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
