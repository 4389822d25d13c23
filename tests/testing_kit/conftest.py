"""What the tests of the kit leave behind is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from djtasks.tasks import registry
from tests.tasks_api.samples import ran


@pytest.fixture(autouse=True)
def forget_tasks_of_the_test() -> Iterator[None]:
    known = set(registry.names())
    ran.clear()
    yield
    for name in set(registry.names()) - known:
        registry.forget(name)
