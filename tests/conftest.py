"""What tests may ask for: the test database for child processes, too, and a PostgreSQL server of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings

from djtasks.tasks import scheduled
from tests.emptying import empty_swiftly
from tests.servers import PostgresServer

empty_swiftly()

# How long an example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_runtest_setup(item: pytest.Item) -> None:
    wants_postgres = item.get_closest_marker("postgres") or "own_postgres" in getattr(item, "fixturenames", ())
    if wants_postgres and connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Point DATABASE_URL to the test database, so that every process that a test starts works on it, too.

    They serve no pages, and start sooner without what does.
    """
    os.environ["WITHOUT_SITE"] = "1"
    address, mark, options = os.environ["DATABASE_URL"].partition("?")
    server = "sqlite://" if connection.vendor == "sqlite" else address.rpartition("/")[0]
    os.environ["DATABASE_URL"] = f"{server}/{connection.settings_dict['NAME']}{mark}{options}"


@pytest.fixture
def nothing_declared() -> Iterator[None]:
    """No schedule is declared beside a task, until the test declares some."""
    kept = dict(scheduled._declared)
    scheduled._declared.clear()
    yield
    scheduled._declared.clear()
    scheduled._declared.update(kept)


@pytest.fixture
def own_postgres(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A PostgreSQL for this test alone, which may stop, restart or break it."""
    with PostgresServer(pytestconfig.getoption("postgres_version")) as server:
        yield server
