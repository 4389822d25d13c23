"""Fixtures of the tests of what application code holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from djtasks.tasks import registry
from tests.tasks_api.samples import ran


@pytest.fixture(autouse=True)
def forget_tasks_of_the_test() -> Iterator[None]:
    known = set(registry.names())
    ran.clear()
    yield
    for name in set(registry.names()) - known:
        registry.forget(name)


@pytest.fixture
def eager(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True}


@pytest.fixture
def other_database(transactional_db: None, django_db_blocker: Any, settings: Any, tmp_path: Path) -> Iterator[str]:
    """Have the queue in a database of its own, which is an SQLite wherever the data are."""
    given = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": tmp_path / "other.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
    }
    connections.databases["other"] = connections.configure_settings({"default": given})["default"]
    settings.DJTASKS = {"DATABASE": "other"}
    # Django lets a test use the databases alone that were there when it began.
    with django_db_blocker.unblock():
        call_command("migrate", "djtasks", database="other", verbosity=0)
        yield "other"
    connections["other"].close()
    del connections["other"], connections.databases["other"]
