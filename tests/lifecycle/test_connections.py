"""Bodies between connections as the project wants them: kept, checked, pooled, bound by the server (J1, J4, J5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from tests.helpers import all_settled, messages, on_one_database, running_worker, settled, wait_until, why
from tests.tasks import add_group, leave_behind, look_around, look_around_async

pytestmark = pytest.mark.django_db(transaction=True)

WAYS: dict[str, dict[str, Any]] = {
    "closed": {"CONN_MAX_AGE": 0},
    "kept and checked": {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True},
    "kept and bound": {"CONN_MAX_AGE": None, "OPTIONS": {"server_side_binding": True}},
    "pooled": {"OPTIONS": {"pool": {"min_size": 1, "max_size": 3, "timeout": 5}}},
    "pooled, checked and bound": {
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 3, "timeout": 5}, "server_side_binding": True},
    },
    "behind a pooler": {"DISABLE_SERVER_SIDE_CURSORS": True},
}
LEFT_BEHIND = ["transaction", "error", "autocommit", "closed", "closed inside", "killed"]


def idle_in_transaction() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", ["processes"])
@on_one_database
def test_connections_are_as_the_project_says(pool: str, way: str) -> None:
    """J1, J5: whatever a body leaves behind, the next finds it clean, and a pool gets back all that it has lent."""
    environment = {"DATABASE_EXTRAS": json.dumps(WAYS[way])}
    with running_worker(f"--pool={pool}", concurrency=1, environment=environment) as worker:
        clean = settled(look_around.delay()).value
        for what in LEFT_BEHIND:
            settled(leave_behind.delay(what))
            assert (what, settled(look_around.delay()).value) == (what, clean)
        assert settled(add_group.delay("kept")).state == "SUCCESS"
        assert [result.state for result in all_settled([look_around.delay() for _ in range(20)])] == ["SUCCESS"] * 20
        wait_until(lambda: idle_in_transaction() == 0)
        assert worker.stop() == 0
    assert "could not be closed" not in worker.log and not messages().exists()


@pytest.mark.parametrize("pool", ["processes", "threads", "solo"])
def test_coroutines_find_what_bodies_find(pool: str) -> None:
    """J4, J6: one after the other, with the ORM's own a… methods; what is not allowed in them is a failure."""
    with running_worker(f"--pool={pool}", concurrency=1) as worker:
        clean = settled(look_around_async.delay("look")).value
        for what in ("transaction", "language", "time zone", "variable"):
            settled(look_around_async.delay(what))
            assert (what, settled(look_around_async.delay("look")).value) == (what, clean)
        assert why(settled(look_around_async.delay("block"))) == "SynchronousOnlyOperation"
        assert settled(look_around.delay()).value == clean
        assert worker.stop() == 0
