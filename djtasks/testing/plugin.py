"""Fixtures for pytest, beside those of pytest-django; it is imported in every run, so it imports nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from djtasks.testing.inline import Delivery
    from djtasks.worker.supervisor import Supervisor


@pytest.fixture
def djtasks_drain(db: None) -> Callable[..., list[Delivery]]:
    """``djtasks.testing.drain``, and a database to go with it."""
    from djtasks.testing import drain

    return drain


@pytest.fixture
def djtasks_worker(transactional_db: None) -> Iterator[Supervisor]:
    """A real worker in a thread, which serves every queue while the test lasts."""
    from djtasks.testing import running_worker

    with running_worker() as worker:
        yield worker
