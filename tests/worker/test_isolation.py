"""Nothing of one task reaches the next: J1, J5, J6, J7."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db import connection, connections, transaction

from djtasks.worker.isolation import close_all, isolated, lending
from tests.tasks import leave_behind, look_around

pytestmark = pytest.mark.django_db(transaction=True)

CONNECTIONS = ["transaction", "error", "autocommit", "autocommit, and sends", "closed", "closed inside", "killed"]
CONTEXTS = ["language", "time zone", "variable"]


@pytest.fixture(params=[0, 60, None], ids=["closed", "kept a minute", "kept"])
def max_age(request: pytest.FixtureRequest) -> Iterator[Any]:
    """J5: how long the project keeps its connections."""
    connection.close()
    before = connection.settings_dict["CONN_MAX_AGE"]
    connection.settings_dict["CONN_MAX_AGE"] = request.param
    yield request.param
    connections["default"].close()
    connections["default"].settings_dict["CONN_MAX_AGE"] = before


@pytest.mark.parametrize("what", CONTEXTS + CONNECTIONS)
def test_next_body_finds_what_the_first_did(max_age: Any, what: str) -> None:
    """J1, J5, J6."""
    if what == "killed" and connection.vendor != "postgresql":
        pytest.skip("needs a server")
    first = isolated(look_around.run)
    with suppress(Exception):
        isolated(lambda: leave_behind.run(what))
    assert isolated(look_around.run) == first
    isolated(lambda: Group.objects.create(name="next"))
    connections["default"].close()
    # What was left open is rolled back, what came next is committed.
    assert list(Group.objects.values_list("name", flat=True)) == ["next"]


def test_connections_are_kept_as_the_project_says(max_age: Any) -> None:
    """J5."""
    isolated(look_around.run)
    kept = connections["default"].connection
    assert (kept is None) is (max_age == 0)
    isolated(look_around.run)
    assert connections["default"].connection is kept


@pytest.mark.postgres
def test_kept_connection_that_has_died_is_made_anew(max_age: Any) -> None:
    """J1, J5: with CONN_HEALTH_CHECKS."""
    connections["default"].settings_dict["CONN_HEALTH_CHECKS"] = True
    try:
        isolated(look_around.run)
        if (raw := connections["default"].connection) is not None:
            raw.close()
        assert isolated(look_around.run)
    finally:
        connections["default"].settings_dict["CONN_HEALTH_CHECKS"] = False


def test_each_thread_is_isolated() -> None:
    """J1, A13: the connection of a thread ends with its body."""
    found: list[Any] = []

    def body() -> None:
        Group.objects.count()
        found.append(connections["default"])

    threads = [threading.Thread(target=isolated, args=(body,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in found}) == 3
    assert [each.connection for each in found] == [None] * 3


def test_connection_that_is_lent_stays_as_it_is() -> None:
    """J3: a test goes on with it, and with its transaction."""
    before = connection.connection or connection.ensure_connection() or connection.connection
    with transaction.atomic(), lending(["default"]):
        isolated(lambda: Group.objects.create(name="of the body"))
        assert connections["default"].connection is before and connection.in_atomic_block
    assert Group.objects.get().name == "of the body"


def test_transaction_that_is_left_open_on_a_connection_of_ours_is_rolled_back() -> None:
    """J1."""
    with lending([]), suppress(Exception):
        isolated(lambda: leave_behind.run("transaction"))
    assert not connections["default"].in_atomic_block and connections["default"].get_autocommit()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_errors_pass_and_leave_nothing(error: type[BaseException]) -> None:
    first = isolated(look_around.run)

    def body() -> None:
        leave_behind.run("transaction")
        leave_behind.run("variable")
        raise error

    with pytest.raises(error):
        isolated(body)
    assert isolated(look_around.run) == first


def test_connection_that_cannot_be_closed_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """J1: the body's outcome stands, and the slot lives."""

    def refuse() -> None:
        raise RuntimeError("not now")

    def body() -> str:
        leave_behind.run("transaction")
        monkeypatch.setattr(broken, "close", refuse)
        return "done"

    broken = connections["default"]
    assert isolated(body) == "done"
    monkeypatch.undo()
    broken.close()
    assert isolated(look_around.run)[:2] == [False, True]


class Counting(BaseCache):
    """A cache that holds something open."""

    opened = closed = 0

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, *args: Any, **kwargs: Any) -> None:
        Counting.opened += 1

    def close(self, **kwargs: Any) -> None:
        Counting.closed += 1


def test_caches_are_closed(settings: Any) -> None:
    """J1, WORK-13: as they are after a request."""
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.Counting"}}
    for _ in range(2):
        isolated(lambda: caches["default"].get("x"))
    assert (Counting.opened, Counting.closed) == (2, 2)


@pytest.mark.postgres
def test_pool_of_connections_gets_back_what_it_has_lent(django_db_blocker: Any) -> None:
    """J1, J5: a transaction that was left open is rolled back, and the end of a process closes the pool."""
    usual = connections["default"].settings_dict
    options = {**usual["OPTIONS"], "pool": {"min_size": 1, "max_size": 2, "timeout": 5}}
    connections.databases["pooled"] = {**usual, "CONN_MAX_AGE": 0, "OPTIONS": options}
    try:
        pools = []

        def body() -> None:
            pools.append(connections["pooled"].pool)
            Group.objects.using("pooled").count()
            transaction.atomic(using="pooled").__enter__()
            Group.objects.using("pooled").create(name="uncommitted")

        # Django lets a test use the databases alone that were there when it began.
        with django_db_blocker.unblock():
            for _ in range(5):
                isolated(body)
        (pool,) = set(pools)
        assert pool.get_stats()["requests_num"] == 5 and pool.get_stats()["pool_size"] <= 2
        assert not Group.objects.exists()
        close_all()
        assert pool.closed
    finally:
        connections["pooled"].close()
        del connections["pooled"], connections.databases["pooled"]


def test_queries_are_not_collected(settings: Any) -> None:
    """J7: with DEBUG, Django remembers every query."""
    settings.DEBUG = True
    for _ in range(3):
        isolated(lambda: [Group.objects.count() for _ in range(10)])
    isolated(look_around.run)
    assert len(connections["default"].queries) < 10
