"""The limit: what PostgreSQL itself does with our own statements, sent by pgbench, beside djtasks with all of Python.

pgbench sends prepared statements, as a worker does, one after the other. A worker settles a batch and reserves the next
one in one commit, and so does this: what was reserved is what is settled next.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.programs import MissingProgram
from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import Djtasks, Side
from benchmarks.steady import Backlog, Steady, ours
from tests.servers import find_binaries

NO_PGBENCH = """\
no pgbench beside the programs of PostgreSQL in {}; it belongs to the package of the server:
  apt-get install postgresql          it need not be running: a private one is started"""

PGBENCH = "pgbench"
BATCHES = (1, 10, 50, 100, 500)
CLIENTS = {"insert": (1, 2, 8), "settle and reserve": (1, 2)}
WAITING = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table and write the figures."""
    return measure("limits", __doc__, Measuring, arguments)


class Measuring:
    """Rounds of statements without Python, and of the same with it."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None:
        self.side: Djtasks = ours(sides)
        self.record = record
        self.only = options.only
        self.calls, self.tasks = (400, 10_000) if options.quick else (4_000, 100_000)
        self.warm_up, self.window = (1.0, 1.0) if options.quick else (2.0, 3.0)

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""
        for number in range(1, self.record.rounds + 1):
            begin_round(self.record, number)
            if self.only in "insert":
                self._insert()
            if self.only in "settle and reserve":
                self._work()
        self.side.clear()

    def _insert(self) -> None:
        for clients in CLIENTS["insert"]:
            rate = inserts(self.side, clients, self.calls)
            self._note(f"insert, {clients} at a time", "a commit each", rate)
        self.side.clear()
        rate = self.calls / self.side.produce("one by one", self.calls, "add")
        note(self.record, "insert, 1 at a time", self.side, "delay", rate, "tasks/s")

    def _work(self) -> None:
        for batch in BATCHES:
            for clients in CLIENTS["settle and reserve"]:
                rate = works(self.side, clients, min(self.calls, self.tasks // batch), batch)
                self._note("settle and reserve", f"batches of {batch}, {clients} at a time", rate)
        for workers in ("solo", self.side.of_latency):
            (backlog := Backlog(self.side)).fill(WAITING)
            with self.side.working(workers) as programs:
                (steady := Steady(backlog, programs)).begin(self.warm_up)
                note(self.record, "settle and reserve", self.side, workers, steady.rate(self.window), "tasks/s")

    def _note(self, what: str, way: str, rate: float) -> None:
        self.record.note(what, "tasks/s", PGBENCH, way, rate)
        print(f"  {what:<42}{PGBENCH:<24}{way:<32}{rate:>12,.1f} tasks/s", flush=True)

    def remarks(self) -> str:
        """Say nothing that the table does not show."""
        return ""


def inserts(side: Djtasks, clients: int, times: int) -> float:
    """Return how many messages so many clients insert in a second, with a commit each."""
    side.clear()
    return pgbench(side, clients, times, "insert")


def works(side: Djtasks, clients: int, times: int, batch: int) -> float:
    """Return how many messages so many clients reserve and settle in a second, a batch with each commit."""
    Backlog(side).fill(clients * times * batch)
    rate = batch * pgbench(side, clients, times, "work", str(batch))
    if side.left() != clients * batch:
        raise RuntimeError(f"{side.left()} messages are left, and not the last batches alone")
    return rate


def pgbench(side: Djtasks, clients: int, times: int, *statement: str) -> float:
    """Let so many clients send a statement of ours so many times each; return how often that was in a second."""
    program = find_binaries() / PGBENCH
    if not program.exists():
        raise MissingProgram(NO_PGBENCH.format(program.parent))
    script = json.loads(side.run("benchmarks.statements", *statement))
    variables = [f"--define={name}={value}" for name, value in script["variables"].items()]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script["text"])
        file.flush()
        shape = [f"--client={clients}", f"--jobs={clients}", f"--transactions={times}", f"--file={file.name}"]
        command = [str(program), "--no-vacuum", "--protocol=prepared", *shape, *variables]
        surroundings = os.environ | {"PGOPTIONS": script["options"]}
        database = side.environment["DATABASE_URL"]
        done = subprocess.run([*command, database], env=surroundings, capture_output=True, text=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"{PGBENCH} failed:\n{done.stdout}{done.stderr}")
    return float(found[1])


if __name__ == "__main__":
    sys.exit(main())
