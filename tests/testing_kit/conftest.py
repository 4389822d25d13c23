"""The kit as projects use it: inside the transaction of a test, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from djtasks.tasks import registry
from tests.tasks_api.samples import ran


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker("django_db"):
            item.add_marker(pytest.mark.django_db)


@pytest.fixture(autouse=True)
def forget_tasks_of_the_test() -> Iterator[None]:
    known = set(registry.names())
    ran.clear()
    yield
    for name in set(registry.names()) - known:
        registry.forget(name)
