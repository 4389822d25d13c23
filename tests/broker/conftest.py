"""The queue on a connection of its own, with commits that others see: once as its database does it, once portably."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from django.utils import timezone

from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.broker.vendors.portable import PortableVendor
from tests.bouncer import PgBouncer
from tests.broker.sentences import locks_rows

Connect = Callable[[], Vendor]


class PortablyOnSqlite(PortableVendor):
    """Counts microseconds, as all do that write to these tables: by SQLite's own clock they would write ahead of it."""

    def now(self) -> datetime:
        return timezone.now()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    commits = pytest.mark.django_db(transaction=True)
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(commits)


@pytest.fixture(scope="session")
def bouncer(django_db_setup: None) -> Iterator[PgBouncer]:
    """C11: a pooler that lends connections by transaction."""
    with PgBouncer(os.environ["DATABASE_URL"]) as started:
        yield started


@pytest.fixture(params=["own", "portable", pytest.param("pooled", marks=pytest.mark.postgres)])
def connect(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Connect]:
    """Makes one more holder, on one more connection."""
    made: list[Vendor] = []
    pooler = request.getfixturevalue("bouncer") if request.param == "pooled" else None

    if request.param == "portable" and type(shared_vendor()) is PortableVendor:
        pytest.skip("it is this database's own way")

    def another() -> Vendor:
        vendor = private_vendor()
        if request.param == "portable":
            portable = PortablyOnSqlite if vendor.connection.vendor == "sqlite" else PortableVendor
            vendor = portable(vendor.connection, private=True)
        if pooler:
            vendor.connection.settings_dict |= pooler.place
        # MySQL's server is asked what it can do, on this very connection: not while another thread uses it.
        locks_rows(vendor)
        made.append(vendor)
        return vendor

    yield another
    for vendor in made:
        vendor.connection.close()


@pytest.fixture
def vendor(connect: Connect) -> Vendor:
    """The queue as each vendor must do it."""
    return connect()


@pytest.fixture
def private(transactional_db: None) -> Iterator[Vendor]:
    """The queue as this database does it, for what is this database's alone."""
    vendor = private_vendor()
    yield vendor
    vendor.connection.close()
