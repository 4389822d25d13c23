"""A side: how a queue is filled, worked and looked at; all that differs between queues stands in its subclasses."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Self

from benchmarks.programs import Program, together
from benchmarks.sides.servers import Servers

ROOT = Path(__file__).parents[2]
Arguments = tuple[str, ...]


class Side(ABC):
    """A queue, its results, its calling program, and its workers by name.

    A mode is when a message is acknowledged and whether its result is kept, and says by which ending the tasks of that
    mode are told from others. What a side lacks it names, with the reason.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    modes: ClassVar[Mapping[str, str]]
    lacks: ClassVar[Mapping[str, str]] = {}
    workers: ClassVar[Mapping[str, tuple[Arguments, ...]]]
    one_slot: ClassVar[frozenset[str]]
    of_latency: ClassVar[str]
    of_computing: ClassVar[str]
    of_waiting: ClassVar[str]
    of_workflows: ClassVar[tuple[str, ...]] = ()
    # Of those on PostgreSQL that can send many at once.
    of_backlogs: ClassVar[str] = ""
    bulk: ClassVar[int] = 4_000
    # Whose calling program it is, where it is not its own.
    caller: ClassVar[str] = ""
    environment: dict[str, str]

    @classmethod
    def missing(cls) -> str:
        """Say which package is not installed; nothing where all are."""
        for package in cls.packages:
            try:
                version(package)
            except PackageNotFoundError:
                return f"{package} is not installed here"
        return ""

    @classmethod
    @abstractmethod
    def start(cls, servers: Servers) -> Self:
        """Bring up this side on the servers it needs."""

    def produce(self, how: str, count: int, task: str, **environment: str) -> Any:
        """Run the calling program; return what it measured."""
        return json.loads(
            self.run("benchmarks.producer", self.caller or self.name, how, str(count), task, **environment)
        )

    def answer_requests(self, count: int) -> dict[str, list[float]]:
        """Let the calling program answer requests of Django's; return how long each took, of either kind."""
        return dict(self.produce("requests", count, "add"))

    def run(self, *arguments: str, **environment: str) -> bytes:
        """Run a Python program of this side to its end; return what it wrote."""
        command = [sys.executable, "-m", *arguments]
        surroundings = os.environ | self.environment | environment
        return subprocess.run(command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, check=True).stdout

    @contextlib.contextmanager
    def working(self, workers: str) -> Iterator[list[Program]]:
        """Keep these workers at work."""
        commands = [(sys.executable, "-m", *arguments) for arguments in self.workers[workers]]
        with together(commands, cwd=ROOT, env=os.environ | self.environment_of(workers)) as programs:
            yield programs

    def environment_of(self, workers: str) -> dict[str, str]:
        """Return the surroundings of these workers, where they differ."""
        return self.environment

    @abstractmethod
    def results(self) -> int:
        """Count the results that are stored: a task counts once its result can be read.

        Where a queue keeps no results, it is what its own tables call done.
        """

    @abstractmethod
    def left(self) -> int:
        """Count the messages that wait or are held."""

    @abstractmethod
    def stored(self) -> int:
        """Count the bytes that the server holds for messages, results and all that belongs to them."""

    @abstractmethod
    def clear(self) -> None:
        """Remove all messages and results, and let the server put its things in order."""

    def versions(self) -> dict[str, str]:
        """Say what is measured."""
        return {package: version(package) for package in self.packages}
