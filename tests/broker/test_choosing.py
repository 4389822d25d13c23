"""Readings that leave messages of some tasks where they are, or let old ones go first: WORK-4, H3."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from djtasks.broker.reserve import COMMIT_SECONDS, Positions, beginning_of
from djtasks.broker.vendors import Vendor
from djtasks.domain.messages import Supply
from djtasks.models import Message
from djtasks.models.clock import Now
from tests.broker.conftest import Connect
from tests.broker.sentences import demand, exchange, held, let_leases_lapse, locks_rows, open_transaction, reserve, send

LIMITED = {"task": "tests.limited"}


def ids(vendor: Vendor, limit: int = 100, **given: Any) -> list[str]:
    return [message.id for message in reserve(vendor, limit, **given)]


def age(seconds: float, *ids: str) -> None:
    """Let messages have been due for so long."""
    Message.objects.filter(pk__in=ids).update(due_at=Now() - timedelta(seconds=seconds))


# Some tasks only


def test_limited_messages_are_left_where_they_are_and_block_nobody(vendor: Vendor) -> None:
    """WORK-4: also where they come first in every order."""
    limited = send(vendor, 5, priority=9, **LIMITED) + send(vendor, 5, **LIMITED)
    others = send(vendor, 3)
    assert ids(vendor, without=("tests.limited",)) == others
    assert set(Message.objects.filter(deliveries=0).values_list("task", flat=True)) == {"tests.limited"}
    assert ids(vendor) == limited


def test_reading_for_limited_tasks_takes_as_many_as_there_are_tokens(vendor: Vendor) -> None:
    """WORK-4."""
    send(vendor, 5, priority=9)
    second, first = send(vendor, 2, **LIMITED), send(vendor, 1, priority=1, **LIMITED)
    assert ids(vendor, 1, only=("tests.limited",)) == first
    assert ids(vendor, 1, only=("tests.limited",)) == second[:1]
    assert ids(vendor, 5, only=("tests.limited", "tests.missing")) == second[1:]
    assert ids(vendor, 5, only=("tests.missing",)) == []


@pytest.mark.parametrize("given", [{"only": ("tests.limited",)}, {"without": ("tests.add",)}])
def test_choosing_heeds_queues_moments_leases_and_early_beginnings(vendor: Vendor, given: dict[str, Any]) -> None:
    (early,) = send(vendor, acks_late=False, **LIMITED)
    send(vendor, queue="excluded", **LIMITED), send(vendor, queue="other", **LIMITED), send(vendor)
    send(vendor, delay=60.0, **LIMITED)
    given = {**given, "excluded": ("excluded",), "queues": ("default", "excluded"), "begin": True}
    supply = exchange(vendor, wanted=demand(**given)).supply
    assert [message.id for message in supply.reservations] == [early]
    assert supply.reservations[0].started_at is not None
    assert supply.next_due == pytest.approx(60, abs=5)
    let_leases_lapse()
    assert ids(vendor, lapsed=False, **given) == []
    assert reserve(vendor, **given)[0].token == (early, 2)


def test_reading_without_a_limit_only_asks(vendor: Vendor) -> None:
    """WORK-4: what a burst worker wants to know of a task that has no token."""
    asked = demand(0, only=("tests.limited",))
    assert exchange(vendor, wanted=asked).supply.next_due is None
    send(vendor), send(vendor, delay=60.0, **LIMITED), send(vendor, queue="other", **LIMITED)
    assert exchange(vendor, wanted=asked._replace(queues=("default",))).supply.next_due is None
    assert exchange(vendor, wanted=asked).supply == Supply([], 0.0)
    assert not Message.objects.filter(deliveries__gt=0).exists()


def test_two_who_choose_never_get_the_same_message(connect: Connect) -> None:
    first, second = connect(), connect()
    if not locks_rows(first):
        pytest.skip("there is but one lock")
    sent = send(first, 2, **LIMITED)
    with open_transaction(first):
        assert ids(first, 1, only=("tests.limited",)) == sent[:1]
        assert ids(second, 1, only=("tests.limited",)) == sent[1:]


# What was passed is not read again


def read(vendor: Vendor, positions: Positions, limit: int = 1, seconds: float = 60.0, **given: Any) -> list[str]:
    """Read once from where the positions say, and let them learn that it took so long."""
    marks, since = positions.beginning()
    supply = exchange(vendor, wanted=demand(limit, marks=marks, since=since, **given)).supply
    positions.learn(supply, marks, seconds=seconds, full=len(supply.reservations) == limit)
    return [message.id for message in supply.reservations]


@pytest.mark.parametrize("given", [{"without": ("tests.limited",)}, {"only": ("tests.add",)}])
def test_long_head_of_others_is_stepped_over_once(vendor: Vendor, given: dict[str, Any]) -> None:
    """WORK-4: the position lies behind what was taken, or where nothing was left, behind what was due by then."""
    head, mine = send(vendor, 9, **LIMITED), send(vendor, 2)
    positions = Positions(60.0, selective=True)
    assert read(vendor, positions, **given) == mine[:1]
    (mark,) = positions.marks() or ()
    assert mark.id == mine[0]
    assert read(vendor, positions, **given) == mine[1:]
    assert read(vendor, positions, **given) == []
    assert positions.marks() == () and positions.since == pytest.approx(
        vendor.now().timestamp(), abs=COMMIT_SECONDS + 5
    )
    # What came after is found, in every queue and priority; what lies before is not looked at.
    new = send(vendor, priority=5) + send(vendor, queue="another")
    age(60.0, *head)
    Message.objects.filter(pk__in=head).update(task="tests.add")
    assert set(read(vendor, positions, 9, **given)) == set(new)


def test_lapsed_lease_is_met_where_some_tasks_are_limited(vendor: Vendor) -> None:
    """WORK-4, A1: a reading that costs little begins at the start again, whatever it has found before."""
    held(vendor)
    positions = Positions(60.0, selective=True)
    given = {"without": ("tests.limited",), "seconds": 0.0}
    assert read(vendor, positions, **given) == []
    age(60.0, str(Message.objects.get().pk))
    let_leases_lapse()
    assert len(read(vendor, positions, **given)) == 1


def test_start_is_read_again_as_seldom_as_it_costs() -> None:
    """WORK-4: a head that takes a second is read again in twenty, and not at every poll."""
    plain, selective = Positions(1.0), Positions(1.0, selective=True)
    for positions in (plain, selective):
        positions.learn(Supply([], None, 1_700_000_000.0), None, 1.0, full=False)
    assert plain.until_start() <= 1 and 19 < selective.until_start() <= 20
    assert plain.marks() is None and selective.marks() == ()
    selective.learn(Supply([], None, 1_700_000_000.0), None, 1000.0, full=False)
    assert selective.until_start() <= 60


def test_reading_for_several_begins_with_the_one_that_has_read_least(vendor: Vendor) -> None:
    ahead, behind = Positions(60.0, selective=True), Positions(60.0, selective=True)
    assert beginning_of([ahead, behind]) == (None, None)
    first, second = held(vendor), held(vendor)
    ahead.learn(Supply([second]), None, 60.0, full=True)
    assert beginning_of([ahead, behind]) == (None, None)
    behind.learn(Supply([first]), None, 60.0, full=True)
    marks, since = beginning_of([ahead, behind])
    assert [mark.id for mark in marks or ()] == [first.id] and since == 0
    behind.learn(Supply([], None, second.due_at + 100), (), 0.1, full=False)
    marks, since = beginning_of([ahead, behind])
    assert [mark.id for mark in marks or ()] == [second.id] and since == 0


# Who waited too long goes first


def test_message_that_has_waited_too_long_goes_before_higher_priorities(vendor: Vendor) -> None:
    """H3, ROUTE-4."""
    high, low, lowest = send(vendor, 2, priority=9), send(vendor, 1), send(vendor, 1, priority=-9, queue="other")
    age(30.0, *low, *lowest)
    assert ids(vendor, 1, ageing=31.0) == high[:1]
    assert ids(vendor, 1, ageing=29.0) == low
    assert ids(vendor, 1, ageing=29.0) == lowest
    assert ids(vendor, 1, ageing=29.0) == high[1:]


def test_those_that_have_waited_too_long_take_turns_by_age(vendor: Vendor) -> None:
    """H3: where higher priorities wait too long themselves, lower ones come to their turn all the same."""
    high, low = send(vendor, 2, priority=9), send(vendor, 1)
    age(40.0, high[0]), age(35.0, *low), age(30.0, high[1])
    assert [ids(vendor, 1, ageing=29.0) for _ in range(3)] == [[high[0]], low, [high[1]]]


def test_what_is_held_or_limited_does_not_age(vendor: Vendor) -> None:
    """H3: a long body at the head of a queue must not drag fresh messages behind it before higher priorities."""
    leased = held(vendor)
    limited, low, high = send(vendor, 1, **LIMITED), send(vendor, 1), send(vendor, 1, priority=9)
    age(30.0, leased.id, *limited)
    assert ids(vendor, 1, ageing=29.0, without=("tests.limited",)) == high
    assert ids(vendor, 1, ageing=29.0, without=("tests.limited",)) == low
