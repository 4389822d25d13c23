"""A MariaDB server of our own, for tests; the standard library is all it needs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.servers import ServerError, unprivileged_account

OLDEST = (10, 6)  # the oldest that Django 5.2 can use

# Distributions keep servers where users do not look.
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"))

# Not in UTC, nor in a zone that a test would choose: a clock that is read in the server's zone is seen at once.
OPTIONS = (
    "--skip-networking",
    "--default-time-zone=-09:30",
    "--character-set-server=utf8mb4",
    "--max-connections=200",
    "--max-allowed-packet=64M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
)

NOT_FOUND = """\
no MariaDB (version 10.6 or later) to run the tests on. One of these helps:
  apt-get install mariadb-server-core mariadb-client-core     or your system's package; it need not be running
  DATABASE_URL=mysql://…                                      a running server and a role that may create databases"""

# Serves until told to end, or until whoever started it has died, in whatever way.
GUARD = 'directory=$1; shift; "$@" & read -r _; kill $!; wait $!; rm -rf "$directory"'


class MariadbServer:
    """A MariaDB in a temporary directory, on a unix socket; it is gone when closed, or when this process is."""

    def __init__(self) -> None:
        self.program, self.installer = find_programs()
        self.account = unprivileged_account()
        # Not TMPDIR: a socket's path may have some 100 characters, and the server's account must reach it.
        self.directory = Path(tempfile.mkdtemp(prefix="djtasks-", dir="/tmp"))
        self.log = self.directory / "log"
        self.socket = self.directory / "socket"
        self._guard: subprocess.Popen[bytes] | None = None
        if self.account:
            os.chown(self.directory, self.account["user"], self.account["group"])

    @property
    def url(self) -> str:
        return f"mysql://root@/djtasks?unix_socket={self.socket}"

    def start(self, timeout: float = 120) -> None:
        try:
            self._install()
            self._serve()
            self._await(time.monotonic() + timeout)
        except ServerError:
            self.close()
            raise

    def close(self) -> None:
        """Stop for good and remove the directory."""
        if self._guard:
            self._guard.communicate(b"close\n")
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __str__(self) -> str:
        return f"MariaDB {version(self.program)} from {self.program}"

    def _install(self) -> None:
        options = ("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
        command = [self.installer, "--no-defaults", f"--datadir={self.directory / 'data'}", *options]
        done = subprocess.run(
            command, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, **self.account
        )
        if done.returncode:
            raise ServerError(f"{self.installer} failed:\n{done.stdout}{done.stderr}")

    def _serve(self) -> None:
        places = (f"--datadir={self.directory / 'data'}", f"--socket={self.socket}", f"--log-error={self.log}")
        server = (self.program, "--no-defaults", *places, *OPTIONS)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.directory), *server],
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self.account,
        )

    def _await(self, deadline: float) -> None:
        while not self._answers():
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.program} does not answer:\n{self.log.read_text() if self.log.exists() else ''}"
                )
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(self.socket))
            except OSError:
                return False
            return bool(line.recv(1))


def find_programs() -> tuple[str, str]:
    """Find the server, and what makes its first tables."""
    server, installer = (shutil.which(name, path=PATH) for name in ("mariadbd", "mariadb-install-db"))
    if server and installer and version(server) >= OLDEST:
        return server, installer
    raise ServerError(NOT_FOUND)


def version(program: str) -> tuple[int, ...]:
    """Ask the server program for its version."""
    answer = subprocess.run([program, "--version"], capture_output=True, text=True)
    found = re.search(r"(\d+)\.(\d+)\.\d+-MariaDB", answer.stdout)
    return tuple(map(int, found.groups())) if found else ()
