"""Beats on connections of their own, with commits that others see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.broker.vendors.portable import PortableVendor

Connect = Callable[[], Vendor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    commits = pytest.mark.django_db(transaction=True)
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker("django_db"):
            item.add_marker(commits)


@pytest.fixture(params=["own", "portable"])
def connect(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Connect]:
    """Makes one more beat's connection."""
    made: list[Vendor] = []

    if request.param == "portable" and type(shared_vendor()) is PortableVendor:
        pytest.skip("it is this database's own way")

    def another() -> Vendor:
        vendor = private_vendor()
        if request.param == "portable":
            vendor = PortableVendor(vendor.connection, private=True)
        made.append(vendor)
        return vendor

    yield another
    for vendor in made:
        vendor.connection.close()


@pytest.fixture
def vendor(connect: Connect) -> Vendor:
    """What a beat works with."""
    return connect()
