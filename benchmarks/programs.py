"""Programs that a benchmark starts: each ends with it, in whatever way it ends."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

STOP_SECONDS = 30
START_SECONDS = 10

# Reads until told, or until whoever started it has died, in whatever way.
GUARD = 'read -r _; kill -KILL -- "-$1" 2>/dev/null; rm -rf "$2"'

NO_REDIS = """\
no redis-server on PATH, and some of the sides need one (--sides names others). One of these helps:
  apt-get install redis-server        it need not run: a private one is started
  brew install redis"""


class MissingProgram(RuntimeError):
    """A program that the benchmark starts by itself is not installed."""


class Program:
    """A program with a process group and a temporary directory of its own, where it also leaves its log."""

    def __init__(self, *command: str, **options: Any) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="djtasks-", dir="/tmp"))
        self.log = self.directory / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.process.pid), str(self.directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def check(self) -> None:
        """Raise where the program has ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.process.args} has ended:\n{self.log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        """Ask the program to end."""
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Wait for the end, help where it does not come, and remove the directory."""
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._guard.communicate(b"close\n")


@contextlib.contextmanager
def together(commands: Iterable[Sequence[str]], **options: Any) -> Iterator[list[Program]]:
    """Keep these programs running, and end them all at once."""
    programs: list[Program] = []
    try:
        for command in commands:
            programs.append(Program(*command, **options))
        yield programs
    finally:
        for program in programs:
            program.stop()
        for program in programs:
            program.close()


class RedisServer:
    """A redis-server that keeps nothing on disk and listens on a unix socket alone."""

    def __enter__(self) -> Self:
        if (executable := shutil.which("redis-server")) is None:
            raise MissingProgram(NO_REDIS)
        self.directory = Path(tempfile.mkdtemp(prefix="djtasks-", dir="/tmp"))
        self.socket = self.directory / "socket"
        self.program = Program(
            executable, "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"
        )
        self._wait()
        return self

    def _wait(self) -> None:
        import redis

        deadline = time.monotonic() + START_SECONDS
        while True:
            self.program.check()
            try:
                self.connect().ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def connect(self, database: int = 0) -> Any:
        """Open a connection to one of the server's databases."""
        import redis

        return redis.Redis(unix_socket_path=str(self.socket), db=database)

    def url(self, database: int) -> str:
        """Return the address of one of the server's databases, as Celery writes it."""
        return f"redis+socket://{self.socket}?virtual_host={database}"

    def __exit__(self, *exc_info: object) -> None:
        self.program.stop()
        self.program.close()
        shutil.rmtree(self.directory, ignore_errors=True)
