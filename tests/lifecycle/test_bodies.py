"""Bodies that raise, return or leave behind what nobody should: E7, E8, E10, J1, J6."""

from __future__ import annotations

import pytest

from tests.helpers import all_settled, each_pool, messages, on_one_database, running_worker, settled, why
from tests.tasks import (
    NASTIES,
    add,
    leave_behind,
    look_around,
    raise_nasty,
    recurse,
    retry_at,
    retry_for_nasty,
    return_object,
)

pytestmark = pytest.mark.django_db(transaction=True)


@each_pool
@on_one_database
def test_no_exception_ends_a_worker(pool: str) -> None:
    """E8, E7: each is recorded as FAILURE, also when it comes with a retry."""
    raised = {name: (raise_nasty.delay(name), retry_for_nasty.delay(name)) for name in NASTIES}
    others = [recurse.delay(), return_object.delay(), *map(retry_at.delay, ("naive", "text", "infinite", "far"))]
    with running_worker(f"--pool={pool}", LEASE_SECONDS=60) as worker:
        before = settled(add.delay(1, 2)).state, worker.children()
        for name, handles in raised.items():
            for result in all_settled(handles):
                assert (name, result.state, len(result.errors)) == (name, "FAILURE", result.retries + 1)
                assert result.error["kind"] == "failure" and len(result.error["message"]) < 10_000
        assert [result.state for result in all_settled(others)] == ["FAILURE"] * 6
        assert (settled(add.delay(1, 2)).state, worker.children()) == before


@on_one_database
def test_arguments_that_no_longer_fit_are_a_failure() -> None:
    """E10: TypeError, before the body, and not retried."""
    handles = [add.delay(1, 2), add.delay(1, 2)]
    messages().filter(pk=handles[0].id).update(args=[1, 2, 3])
    messages().filter(pk=handles[1].id).update(args=[], kwargs={"x": 1, "z": 2})
    with running_worker("--pool=solo"):
        for result in all_settled(handles):
            assert (why(result), result.retries) == ("TypeError", 0)


@each_pool
def test_next_body_finds_nothing_of_the_last(pool: str) -> None:
    """J1, J6: one slot, so that each meets what the one before has left."""
    with running_worker(f"--pool={pool}", concurrency=1):
        clean = settled(look_around.delay()).value
        for what in ("transaction", "error", "autocommit", "closed inside", "language", "time zone", "variable"):
            settled(leave_behind.delay(what))
            assert (what, settled(look_around.delay()).value) == (what, clean)
