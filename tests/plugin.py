"""The pytest plugin that decides, before Django reads its settings, on which database the tests run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator

import pytest

from tests.mariadb import MariadbServer
from tests.servers import PostgresServer, ServerError

CHOICE = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("djtasks")
    group.addoption(
        "--database",
        choices=("postgresql", "sqlite", "mariadb"),
        help="Run on this database; by default that of DATABASE_URL, or else a PostgreSQL started for the run.",
    )
    group.addoption("--postgres-version", type=int, help="Start this major version of PostgreSQL, for example 16.")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, None, None]:
    # A wrapper, because pytest-django reads the settings in this hook, and asks to be first in it.
    options = parser.parse_known_args(args)
    # The processes of pytest-xdist find in their environment what the first process chose.
    if not (options.help or options.version or "PYTEST_XDIST_WORKER" in os.environ):
        choice = choose_database(options.database, options.postgres_version, early_config.add_cleanup)
        early_config.stash[CHOICE] = choice
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let reports travel between processes also where a test has logged what no encoding can hold."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.stash.get(CHOICE, 'none')}"


def choose_database(wanted: str | None, version: int | None, at_end: Callable[[Callable[[], None]], None]) -> str:
    """Leave the database's address in DATABASE_URL, where every process looks for it; return its name for people."""
    given = os.environ.get("DATABASE_URL", "")
    if wanted == "sqlite":
        directory = tempfile.TemporaryDirectory(prefix="djtasks-")
        at_end(directory.cleanup)
        os.environ["DATABASE_URL"] = f"sqlite:///{directory.name}/db.sqlite3"
        return f"SQLite in {directory.name}"
    scheme = {"postgresql": "postgres", "mariadb": "mysql"}.get(wanted or "", "")
    if given and not version and given.startswith(scheme):
        return "that of DATABASE_URL"
    try:
        server = MariadbServer() if wanted == "mariadb" else PostgresServer(version)
        at_end(server.close)
        server.start()
    except ServerError as error:
        raise pytest.UsageError(str(error)) from error
    os.environ["DATABASE_URL"] = server.url
    return str(server)
