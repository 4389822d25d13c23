"""How throughput of djtasks grows with processes and with hosts, and who has the cores when it grows no more.

Processes: one worker with 1, 2, 4 and 8 of them, and as many solo workers, which share nothing but the database. Hosts:
1, 2 and 4 workers with two processes each, in network namespaces of their own, so that a network, if a short one, lies
between them and the database. The queue is kept as full as it was. Cores are those that the processes of the workers
and of the server had in the same window: where both together have all of the machine, it is the machine that is the
limit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from benchmarks.hosts import DATABASE_HOST, RULE, Hosts, NoHosts
from benchmarks.programs import Program, together
from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import POSTGRES_SETTINGS, Djtasks, Side
from benchmarks.steady import Backlog, Steady, beside, ours
from tests.servers import PostgresServer

ROOT = Path(__file__).parents[1]
PROCESSES = (1, 2, 4, 8)
HOSTS = (1, 2, 4)
WAITING = 20_000
Command = tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table and write the figures."""
    return measure("scaling", __doc__, Measuring, arguments)


class Measuring:
    """Rounds of more and more processes, then of more and more hosts."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.side: Djtasks = ours(sides)
        self.record = record
        self.only = options.only
        self.processes, self.hosts = (PROCESSES[:2], HOSTS[:2]) if options.quick else (PROCESSES, HOSTS)
        self.warm_up, self.window = (1.0, 1.0) if options.quick else (2.0, 5.0)
        self.missing = ""

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            for count in self.processes:
                self._measure("processes", count, self.side, [runworker("processes", count)])
                self._measure("solo workers", count, self.side, [runworker("solo", 1)] * count)
            self.side.clear()
            if self.only in "hosts" and not self.missing:
                self._measure_hosts()

    def _measure_hosts(self) -> None:
        try:
            with Hosts(max(self.hosts)) as hosts, side_for_hosts() as side:
                for count in self.hosts:
                    commands = [(*hosts.on(number), *runworker("processes", 2)) for number in range(count)]
                    self._measure("hosts", count, side, commands)
        except NoHosts as error:
            self.missing = f"no hosts were measured: {error}\n"
            print(f"!!!!! {self.missing}", file=sys.stderr)

    def _measure(self, kind: str, count: int, side: Djtasks, commands: Sequence[Command]) -> None:
        if self.only not in kind:
            return
        (backlog := Backlog(side)).fill(WAITING)
        with together(commands, cwd=ROOT, env=os.environ | side.environment) as programs:
            (steady := Steady(backlog, programs)).begin(self.warm_up)
            used, began_at = used_by(programs, side), time.monotonic()
            self._note(f"{kind}: {count}", side, steady.rate(self.window), "tasks/s")
            seconds = time.monotonic() - began_at
            for whose, before, after in zip(("workers", "server"), used, used_by(programs, side), strict=True):
                self._note(f"{kind}: {count}, {whose}", side, 100 * (after - before) / seconds, "% of a core")

    def _note(self, what: str, side: Djtasks, figure: float, unit: str) -> None:
        note(self.record, what, side, "late acknowledgement", figure, unit)

    def remarks(self) -> str:
        """Compare with the first of each kind, round by round."""
        lines: list[str] = []
        for kind in ("processes", "solo workers", "hosts"):
            rates = [each for each in self.record.series if each.what.startswith(kind) and each.unit == "tasks/s"]
            lines += beside(rates) if rates else ()
        return "\n".join([*lines, self.missing])


def runworker(pool: str, slots: int) -> Command:
    """Return the command of a worker."""
    shape = ("--pool", pool, "--concurrency", str(slots), "--loglevel", "warning")
    return (sys.executable, "-m", "django", "runworker", *shape)


@contextlib.contextmanager
def side_for_hosts() -> Iterator[Djtasks]:
    """Bring up a server that can be reached from the hosts; we look at it from beside it."""
    server = PostgresServer(**POSTGRES_SETTINGS, listen_addresses=DATABASE_HOST)
    with (server.directory / "data" / "pg_hba.conf").open("a") as file:
        file.write(RULE)
    with server:
        side = Djtasks(server)
        side.environment["DATABASE_URL"] = f"postgresql://postgres@{DATABASE_HOST}/postgres"
        yield side


def used_by(programs: Sequence[Program], side: Djtasks) -> tuple[float, float]:
    """Return the time that all processes of the workers have had on the cores, and those of the server."""
    workers = [psutil.Process(program.process.pid) for program in programs]
    server = psutil.Process(side.connection.info.backend_pid).parent()
    return sum(map(_time_of, workers)), _time_of(server)


def _time_of(parent: psutil.Process) -> float:
    total = 0.0
    for process in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


if __name__ == "__main__":
    sys.exit(main())
