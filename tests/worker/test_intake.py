"""Which queues a worker asks for, and how that changes while it runs (ROUTE-3)."""

from __future__ import annotations

import pytest

from djtasks.domain.messages import Mark, Supply
from djtasks.worker.execution import Holder
from djtasks.worker.holdings import Holdings
from djtasks.worker.intake import Intake
from djtasks.worker.pools.solo import SoloPool


def intake(queues: tuple[str, ...] | None = None, excluded: tuple[str, ...] = ()) -> Intake:
    holder = Holder("00000000-0000-0000-0000-000000000001", "one@test")
    return Intake(holder.worker_id, SoloPool(1, holder), Holdings(), queues=queues, excluded=excluded)


def asked(intake: Intake) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    intake.look()
    demand = intake.demand(lapsed=True)
    assert demand is not None
    return demand.queues, demand.excluded


def test_worker_with_a_list_serves_one_more_and_one_less() -> None:
    intake_ = intake(("mail",))
    assert intake_.serve("audio") and asked(intake_) == (("mail", "audio"), ())
    assert not intake_.serve("audio")
    assert intake_.drop("mail") and asked(intake_) == (("audio",), ())
    assert not intake_.drop("mail")


def test_worker_of_all_queues_leaves_out_one_and_takes_it_in_again() -> None:
    intake_ = intake()
    assert not intake_.serve("mail")
    assert intake_.drop("mail") and asked(intake_) == (None, ("mail",))
    assert not intake_.drop("mail")
    assert intake_.serve("mail") and asked(intake_) == (None, ())


def test_worker_may_serve_none() -> None:
    intake_ = intake(("mail",))
    assert intake_.drop("mail") and asked(intake_) == ((), ())
    assert intake_.subscription.columns() == {"queues": [], "excluded": []}


@pytest.mark.parametrize("queues", [None, ("mail", "audio")])
def test_paused_queue_is_left_out_until_it_is_resumed(queues: tuple[str, ...] | None) -> None:
    intake_ = intake(queues, excluded=("other",))
    intake_.pause(("mail",))
    assert asked(intake_) == (queues, ("other", "mail")) and intake_.subscription.serves("mail")
    intake_.pause(())
    assert asked(intake_) == (queues, ("other",))


@pytest.mark.parametrize("change", ["serve", "drop"])
def test_change_is_looked_into_at_once_and_from_the_start(change: str) -> None:
    """A remembered position would still lead into a queue that was dropped."""
    intake_ = intake(("mail", "audio"))
    intake_.look()
    demand = intake_.demand(lapsed=True)
    assert demand is not None
    intake_.ask(demand)
    intake_.learn(demand, Supply([], None), 10.0)
    intake_._positions._marks["mail", 0] = Mark("mail", 0, 1.0, "x")
    assert intake_.demand(lapsed=True) is None
    getattr(intake_, change)("mail" if change == "drop" else "other")
    demand = intake_.demand(lapsed=True)
    assert demand is not None and demand.marks is None
