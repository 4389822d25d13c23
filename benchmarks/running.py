"""What all benchmarks do: read the command line, bring up both sides, measure, show a table, write the figures."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from benchmarks.programs import MissingProgram, RedisServer
from benchmarks.report import Record
from benchmarks.sides import POSTGRES_SETTINGS, CeleryWithRedis, Djtasks, Side
from tests.servers import PostgresServer, ServerError


class Measures(Protocol):
    """Measures both sides, and notes each figure in a record."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None: ...

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""

    def remarks(self) -> str:
        """Say what the table of all figures does not show."""


def measure(name: str, description: str, measures: type[Measures], arguments: Sequence[str] | None) -> int:
    """Run the benchmark of this name; return the exit status."""
    options = parse(name, description, arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    record = Record(
        name=name,
        started_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        cores=os.cpu_count() or 0,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        quick=options.quick,
        rounds=options.rounds,
    )
    try:
        with RedisServer() as redis_server, PostgresServer(**POSTGRES_SETTINGS) as postgres_server:
            sides: tuple[Side, ...] = (Djtasks(postgres_server), CeleryWithRedis(redis_server))
            record.versions = {side.name: side.versions() for side in sides}
            measuring = measures(sides, record, options)
            measuring.run()
    except (MissingProgram, ServerError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{record.table()}\n{measuring.remarks()}\nwritten to {record.write()}")
    return 0


def begin_round(record: Record, number: int) -> None:
    """Note what else the machine does, and show it."""
    record.load.append(round(os.getloadavg()[0], 2))
    print(f"round {number} of {record.rounds}, load {record.load[-1]}", flush=True)


def note(record: Record, what: str, side: Side, way: str, figure: float, unit: str) -> None:
    """Add a figure of this round, and show it."""
    record.note(what, unit, side.name, way, figure, one_slot=way in side.one_slot)
    print(f"  {what:<42}{side.title:<24}{way:<32}{figure:>12,.1f} {unit}", flush=True)


def parse(name: str, description: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=description)
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 3)")
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("--only", default="", metavar="WORD", help="only what has this word in its name")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options
