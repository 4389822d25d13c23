"""What all benchmarks do: read the command line, bring up the sides, measure, show a table, write the figures."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from benchmarks.bodies import KINDS
from benchmarks.programs import MissingProgram
from benchmarks.report import EVERYTHING, US, Record
from benchmarks.sides import SIDES, Servers, Side
from tests.servers import ServerError

BOTH = ("djtasks", "celery")


class Measures(Protocol):
    """Measures all sides, and notes each figure in a record."""

    def __init__(self, sides: Sequence[Side], record: Record, options: argparse.Namespace) -> None: ...

    def run(self) -> None:
        """Measure all rounds, showing each figure as it comes."""

    def remarks(self) -> str:
        """Say what the table of all figures does not show."""


def measure(
    name: str,
    description: str | None,
    measures: type[Measures],
    arguments: Sequence[str] | None,
    choice: Sequence[str] = BOTH,
) -> int:
    """Run the benchmark of this name, on those of the sides that are wanted and are there; return the exit status."""
    options = parse(name, description, arguments, choice)
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
        with Servers() as servers:
            sides = started(options.sides, servers, record)
            record.versions = {side.name: side.versions() for side in sides}
            measuring = measures(sides, record, options)
            measuring.run()
    except (MissingProgram, ServerError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{record.table()}\n{measuring.remarks()}\nwritten to {record.write()}")
    return 0


def started(names: Sequence[str], servers: Servers, record: Record) -> list[Side]:
    """Bring up those that are installed, and note why the others are not measured."""
    sides = []
    for name in names:
        if reason := SIDES[name].missing():
            record.lack(EVERYTHING, name, reason)
            print(f"!!!!! {name} is not measured: {reason}", file=sys.stderr)
        else:
            sides.append(SIDES[name].start(servers))
    return sides


def begin_round(record: Record, number: int) -> None:
    """Note what else the machine does, and show it."""
    record.load.append(round(os.getloadavg()[0], 2))
    print(f"round {number} of {record.rounds}, load {record.load[-1]}", flush=True)


def note(record: Record, what: str, side: Side, way: str, figure: float, unit: str) -> None:
    """Add a figure of this round, and show it."""
    record.note(what, unit, side.name, way, figure, one_slot=way in side.one_slot)
    print(f"  {what:<42}{side.title:<30}{way:<32}{figure:>12,.1f} {unit}", flush=True)


@contextlib.contextmanager
def failing(record: Record, what: str, side: Side, way: str) -> Iterator[None]:
    """Note that a peer has failed, and go on with the others; where we fail, nothing goes on."""
    try:
        yield
    except (RuntimeError, subprocess.CalledProcessError) as error:
        if side.name == US:
            raise
        record.lack(what, side.name, f"{way}: failed")
        print(f"!!!!! {what}, {side.title}, {way}: {error}", file=sys.stderr)


def parse(
    name: str, description: str | None, arguments: Sequence[str] | None, choice: Sequence[str] = BOTH
) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 3)")
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("--only", default="", metavar="WORD", help="only what has this word in its name")
    add_choice(parser, "--sides", choice, "the sides to measure")
    if name == "drain":
        add_choice(parser, "--tasks", tuple(KINDS), "the kinds of tasks to drain")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def add_choice(parser: argparse.ArgumentParser, option: str, choice: Sequence[str], text: str) -> None:
    """Let some of a choice be named, with commas between them; all if none is."""

    def chosen(names: str) -> list[str]:
        if unknown := set(names.split(",")) - set(choice):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there are {', '.join(choice)}")
        return [name for name in choice if name in names.split(",")]

    parser.add_argument(
        option, type=chosen, default=list(choice), metavar="NAME,…", help=f"{text}: {', '.join(choice)}"
    )
