"""Workers die where a test wants them to, and another one goes on (fact 4: tasks should be idempotent)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from djtasks import Task, shared_task
from djtasks.exceptions import WorkerLostError
from djtasks.models import Message, Result
from djtasks.testing import crash_at, drain, run_pending
from tests.tasks_api import samples
from tests.tasks_api.samples import note, ran

pytestmark = pytest.mark.django_db


def pay() -> None:
    samples.ran.append("paid")


async def apay() -> None:
    samples.ran.append("paid")


PAY = f"{__name__}.pay"
APAY = f"{__name__}.apay"


@pytest.mark.parametrize(
    ("point", "runs"), [("reserved", 1), ("begun", 1), ("ended", 2), ("settled", 1)], ids=lambda value: str(value)
)
def test_late_task_is_run_again_unless_its_end_was_written(point: str, runs: int) -> None:
    """ACK-3."""
    result = shared_task(note.run, name="note", acks_late=True).delay("x")
    with crash_at(point):
        drain()
    assert ran == ["x"] * runs and result.state == "SUCCESS"


@pytest.mark.parametrize(("point", "runs"), [("reserved", 1), ("begun", 0), ("ended", 1), ("settled", 1)])
def test_early_task_is_never_begun_again(point: str, runs: int) -> None:
    """ACK-1."""
    result = note.delay("x")
    with crash_at(point):
        deliveries = drain(propagate=False)
    assert ran == ["x"] * runs
    lost = point in ("begun", "ended")
    assert result.state == ("FAILURE" if lost else "SUCCESS")
    assert [type(each.error) for each in deliveries if each.error] == [WorkerLostError] * lost


def test_loss_of_an_early_task_is_raised() -> None:
    note.delay("x")
    with pytest.raises(WorkerLostError, match="its worker died"), crash_at("ended"):
        drain()


def test_hooks_of_a_worker_that_died_are_never_called() -> None:
    """TASK-2."""

    class Telling(Task):
        def on_success(self, *args: Any) -> None:
            ran.append("told")

    shared_task(lambda: None, name="telling", base=Telling, acks_late=True).delay()
    with crash_at("settled"):
        drain()
    assert ran == [] and Result.objects.get().state == "SUCCESS"


def test_task_that_loses_too_many_workers_is_given_up() -> None:
    """ACK-4."""
    result = shared_task(note.run, name="note", acks_late=True, max_deliveries=2).delay("x")
    with crash_at("ended", times=2):
        drain(propagate=False)
    assert ran == ["x", "x"] and result.state == "FAILURE"


def test_worker_dies_instead_of_calling_a_function() -> None:
    @shared_task(acks_late=True)
    def body() -> None:
        Group.objects.get_or_create(name="order")
        with transaction.atomic():
            Group.objects.create(name="undone")
            try:
                pay()
            except Exception:
                ran.append("caught")
            transaction.set_rollback(True)
        ran.append("ended")

    body.delay()
    with crash_at(PAY):
        drain()
    assert ran == ["paid", "ended"]
    assert list(Group.objects.values_list("name", flat=True)) == ["order"]


def test_coroutine_dies_as_well() -> None:
    @shared_task(acks_late=True)
    async def body() -> None:
        ran.append("begun")
        await apay()

    body.delay()
    with crash_at(APAY):
        drain()
    assert ran == ["begun", "begun", "paid"]


def test_death_that_a_body_keeps_to_itself_is_one() -> None:
    @shared_task(acks_late=True)
    def body() -> str:
        try:
            pay()
        except BaseException:
            return "alive"
        return "paid"

    result = body.delay()
    with crash_at(PAY):
        drain()
    assert result.get() == "paid"


def test_test_itself_does_not_die() -> None:
    shared_task(lambda: pay(), name="paying", acks_late=True).delay()
    with crash_at(PAY, times=2):
        pay()
        drain()
        pay()
    assert ran == ["paid"] * 3


def test_task_may_be_named() -> None:
    for name in ("one", "other"):
        shared_task(note.run, name=name, acks_late=True).delay(name)
    with crash_at("ended", task="other"):
        drain()
    assert sorted(ran) == ["one", "other", "other"]


def test_worker_may_hold_more_when_it_dies() -> None:
    late = shared_task(note.run, name="note", acks_late=True)
    for number in (1, 2):
        late.delay(number)
    with crash_at("ended"):
        run_pending(until_empty=False)
    assert ran == [1]
    drain()
    assert sorted(ran) == [1, 1, 2] and not Message.objects.exists()


def test_crash_that_never_came_is_complained_of() -> None:
    with pytest.raises(AssertionError, match=r"workers came to 'ended' of x 0 of 1 times"), crash_at("ended", task="x"):
        drain()


def test_point_that_is_none_is_refused() -> None:
    complaint = "there is no point 'end': say one of reserved, begun, ended, settled"
    with pytest.raises(ValueError, match=complaint), crash_at("end"):
        pass


def test_error_of_the_test_is_not_covered_up() -> None:
    with pytest.raises(ZeroDivisionError), crash_at("ended"):
        1 / 0  # noqa: B018
