"""Real workers run Django's tasks in every kind of pool."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import samples
from tests.contract.django import TaskResultStatus
from tests.helpers import on_one_database, running_worker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
IMPORTS = ["tests.contract.samples"]


@pytest.mark.parametrize(
    "pool",
    ["processes", *(pytest.param(pool, marks=on_one_database) for pool in ("threads", "eventloop", "solo"))],
)
def test_pool_runs_them_all(pool: str) -> None:
    results = [
        samples.add.enqueue(1, 2),
        samples.add_async.enqueue(3, 4),
        samples.add_first.using(priority=50).enqueue(5, 6),
        samples.look.enqueue("a"),
        samples.look_async.enqueue(),
        samples.fail_at_first.enqueue(1),
        samples.both.enqueue(1),
    ]
    failed = samples.fail.enqueue("sold out")
    with running_worker(f"--pool={pool}", IMPORTS=IMPORTS) as worker:
        look, *others = (value_of(result) for result in [results.pop(3), *results])
        wait_until(lambda: finished(failed))
        log = worker.log
    assert others == [3, 7, 11, 1, [2, ["builtins.ValueError"]], -1]
    assert look[0] == 1 and look[3] == ["a"]
    assert (failed.status, failed.errors[0].exception_class) == (TaskResultStatus.FAILED, ValueError)
    assert f"Task id={failed.id} path=tests.contract.samples.fail state=FAILED" in log


@on_one_database
def test_receivers_hear_of_ends_in_workers_once_they_are_recorded() -> None:
    result, failed = samples.add.enqueue(1, 2), samples.fail.enqueue("sold out")
    with running_worker(IMPORTS=[*IMPORTS, "tests.contract.listening"]) as worker:
        worker.logs(f"heard of {result.id}: SUCCESSFUL, recorded as SUCCESSFUL")
        worker.logs(f"heard of {failed.id}: FAILED, recorded as FAILED")


def value_of(result: Any) -> Any:
    wait_until(lambda: finished(result), what=result)
    return result.return_value


def finished(result: Any) -> bool:
    result.refresh()
    return bool(result.is_finished)
