"""A PgBouncer of our own in transaction mode: what it has lent to one client, another has the next moment."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import psycopg
import pytest

from tests.servers import unprivileged_account

PORT = 6432
CONFIGURATION = """
[databases]
* = {server}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {directory}
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
query_wait_timeout = 20
verbose = 1
"""

LAST_WORDS = 5000


class PgBouncer:
    """A PgBouncer with so many connections to the server; it is gone when closed."""

    def __init__(self, target: str, *, size: int = 10) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
        if not program:
            pytest.skip("PgBouncer IS NOT INSTALLED, so nothing is known of poolers: apt-get install pgbouncer")
        given = {key: str(value) for key, value in psycopg.conninfo.conninfo_to_dict(target).items()}
        account = unprivileged_account()
        # Not TMPDIR: a socket's path may have some 100 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="bouncer-", dir="/tmp"))
        wanted = {name: given[name] for name in ("host", "port", "user", "password") if name in given}
        server = " ".join(f"{name}={value}" for name, value in wanted.items())
        file = self.directory / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(server=server, port=PORT, directory=self.directory, size=size))
        for path in (self.directory, file):
            if account:
                os.chown(path, account["user"], account["group"])
        self.place: dict[str, Any] = {"HOST": str(self.directory), "PORT": str(PORT)}
        user, name = quote(given.get("user", "postgres")), quote(given.get("dbname", "postgres"))
        self.url = f"postgresql://{user}@/{name}?host={self.directory}&port={PORT}"
        self._log = self.directory / "log"
        with self._log.open("w") as log:
            self._popen = subprocess.Popen(
                [program, str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **account
            )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 10
        while not self._answers():
            assert self._popen.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._popen.kill()
        self._popen.wait()
        # Shown with a test that fails.
        print(self._log.read_text()[-LAST_WORDS:])
        shutil.rmtree(self.directory)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            return not sock.connect_ex(f"{self.directory}/.s.PGSQL.{PORT}")
