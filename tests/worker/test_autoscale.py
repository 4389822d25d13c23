"""When a pool grows, and when it shrinks: WORK-5."""

from __future__ import annotations

import pytest

from djtasks.worker.autoscale import Autoscaler
from tests.helpers import on_one_database, reservation
from tests.tasks import add
from tests.worker.bench import Hand

pytestmark = on_one_database


class Elastic(Hand):
    """A pool that has as many slots as one likes."""

    def resize(self, slots: int) -> None:
        self.slots = slots

    def fill(self) -> None:
        self.submit([reservation(add, 1, 1) for _ in range(self.idle())])


@pytest.fixture
def scaler() -> Autoscaler:
    made = Autoscaler(Elastic(1), 6, 1, patience=30)
    made.saturated = True
    return made


def grown(scaler: Autoscaler, now: float) -> int:
    scaler.pool.fill()  # type: ignore[attr-defined]
    scaler.look(now)
    return scaler.pool.slots


def test_pool_grows_while_all_slots_are_busy_and_more_is_waiting(scaler: Autoscaler) -> None:
    """WORK-5: up to the most."""
    assert [grown(scaler, now) for now in (0.0, 1.0, 2.0, 3.0)] == [2, 4, 6, 6]


def test_pool_does_not_grow_where_nothing_waits_or_a_slot_is_free(scaler: Autoscaler) -> None:
    scaler.look(0.0)
    assert scaler.pool.slots == 1
    scaler.saturated = False
    assert grown(scaler, 0.0) == 1


def test_pool_shrinks_only_long_after_it_has_grown(scaler: Autoscaler) -> None:
    """WORK-5: to what is busy, and never below the least."""
    assert grown(scaler, 10.0) == 2
    scaler.saturated = False
    scaler.look(39.9)
    assert scaler.pool.slots == 2
    scaler.look(40.0)
    assert scaler.pool.slots == 1
    scaler.pool.running.clear()  # type: ignore[attr-defined]
    scaler.look(99.0)
    assert scaler.pool.slots == 1


def test_bounds_can_be_changed_while_it_works(scaler: Autoscaler) -> None:
    scaler.change(8, 3)
    assert scaler.pool.slots == 3
    scaler.change(2, 1)
    assert scaler.pool.slots == 2
    for wrong in ((1, 2), (2, 0), ("2", 1)):
        with pytest.raises((TypeError, ValueError), match="the most"):
            scaler.change(*wrong)  # type: ignore[arg-type]
    assert (scaler.most, scaler.least) == (2, 1)
