"""What a worker with two processes costs while nothing is to be done, and how long it takes to begin.

It has worked a little before, so that everything is loaded. Memory is that of all its processes: resident, in which
pages that they share count for each of them, and proportional, in which they count once. Requests are commands, or
transactions, that its server has counted (an idle worker sends one statement in each); writes are transactions that
wrote. The start is timed from the command to the first stored result.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import psutil

from benchmarks.programs import Program
from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import CeleryInDjango, CeleryWithRedis, Djtasks, Side

TASKS = 200
# PostgreSQL counts what a session has done up to ten seconds later.
SETTLING = 15.0
POSTGRES_COUNTS = """
SELECT xact_commit + xact_rollback, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
    pg_current_wal_insert_lsn() - '0/0'
FROM pg_stat_database WHERE datname = current_database()
"""
PATIENCE = 60.0
PAUSE = 0.005


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sides, show a table and write the figures."""
    return measure("idle", __doc__, Measuring, arguments)


class Measuring:
    """Rounds of starts and of idling, of all sides one after the other."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.sides = [side for side in sides if isinstance(side, (Djtasks, CeleryWithRedis))]
        # Its worker loads no Django where no task needs one.
        self.sides += [
            CeleryInDjango(side.server, side.database) for side in sides if isinstance(side, CeleryWithRedis)
        ]
        self.record = record
        self.seconds = 10.0 if options.quick else 60.0

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for side in self.sides:
                self._measure(side)

    def _measure(self, side: Side) -> None:
        side.clear()
        side.produce("fill", 1, "add")
        began_at = time.monotonic()
        with side.working(side.of_latency) as programs:
            wait_for(side, 1, programs)
            self._note("start to first result", side, 1000 * (time.monotonic() - began_at), "ms")
            side.produce("fill", TASKS, "add")
            wait_for(side, 1 + TASKS, programs)
            time.sleep(SETTLING)
            self._idle(side, programs)

    def _idle(self, side: Side, programs: Sequence[Program]) -> None:
        before = counts(side)
        time.sleep(self.seconds)
        after = counts(side)
        for what, unit in (("requests", "a minute"), ("writes", "a minute"), ("log", "bytes a minute")):
            if what in before:
                self._note(f"idle, {what}", side, 60 * (after[what] - before[what]) / self.seconds, unit)
        resident, proportional = memory(programs)
        self._note("idle, resident memory", side, resident, "bytes")
        self._note("idle, proportional memory", side, proportional, "bytes")

    def _note(self, what: str, side: Side, figure: float, unit: str) -> None:
        note(self.record, what, side, side.of_latency, figure, unit)

    def remarks(self) -> str:
        """Say nothing that the table does not show."""
        return ""


def wait_for(side: Side, count: int, programs: Sequence[Program]) -> None:
    """Wait until so many results are stored."""
    deadline = time.monotonic() + PATIENCE
    while (seen := side.results()) < count:
        for program in programs:
            program.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{side.title} stands at {seen} results of {count}")
        time.sleep(PAUSE)


def counts(side: Any) -> dict[str, int]:
    """Return what the side's server has counted; this look is one request more."""
    if isinstance(side, CeleryWithRedis):
        return {"requests": int(side.broker.info("stats")["total_commands_processed"])}
    numbers = side.connection.execute(POSTGRES_COUNTS).fetchone() or ()
    return dict(zip(("requests", "writes", "log"), map(int, numbers), strict=True))


def memory(programs: Sequence[Program]) -> tuple[int, int]:
    """Return the resident and the proportional memory of all processes, in bytes."""
    parents = [psutil.Process(program.process.pid) for program in programs]
    found = [each.memory_full_info() for parent in parents for each in (parent, *parent.children(recursive=True))]
    return sum(each.rss for each in found), sum(getattr(each, "pss", each.rss) for each in found)


if __name__ == "__main__":
    sys.exit(main())
