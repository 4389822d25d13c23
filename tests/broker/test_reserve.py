"""Reserving gives what is due, in its order, to one holder alone."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from djtasks.broker.reserve import Positions
from djtasks.broker.vendors import Vendor
from djtasks.broker.vendors.portable import PortableVendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Mark, Reservation, Supply, Token
from djtasks.domain.outcomes import Released, Retry, Settlement
from djtasks.models import Message
from djtasks.models.clock import Now
from tests.broker.conftest import Connect
from tests.broker.sentences import (
    LEASE,
    OTHER_WORKER,
    WORKER,
    begun,
    demand,
    exchange,
    facts,
    held,
    let_come_due,
    let_leases_lapse,
    locks_rows,
    new,
    open_transaction,
    reserve,
    reserve_one,
    row,
    send,
    settled,
)


def test_lease_is_written_and_nothing_else(vendor: Vendor) -> None:
    (message_id,) = send(vendor)
    before = facts(message_id)
    message = reserve_one(vendor)
    after = facts(message_id)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"leased_until", "worker", "deliveries"}
    assert str(after["worker"]) == WORKER
    assert message.token == (message_id, 1)
    assert after["leased_until"].timestamp() == pytest.approx(message.reserved_at + LEASE, abs=0.01)


def test_moment_of_reservation_is_the_databases(vendor: Vendor) -> None:
    send(vendor)
    before, message, after = vendor.now(), reserve_one(vendor), vendor.now()
    assert before.timestamp() - 1e-6 <= message.reserved_at <= after.timestamp() + 1e-6


def test_reserved_message_is_not_given_again(connect: Connect) -> None:
    first, second = connect(), connect()
    message = held(first)
    assert reserve(second) == []
    assert row(message.id).deliveries == 1


def test_order_is_priority_then_moment_then_id(vendor: Vendor) -> None:
    """G8"""
    moment = 1_700_000_000.0
    later_id, earlier_id = sorted((new().id, new().id), reverse=True)
    sent = [
        new(priority=0, due_at=moment + 1),
        new(priority=-100, due_at=moment - 100),
        new(priority=0, due_at=moment, id=later_id),
        new(priority=100, due_at=moment + 100),
        new(priority=0, due_at=moment, id=earlier_id),
        new(priority=1, due_at=moment + 50),
    ]
    vendor.insert(sent)
    expected = [sent[index].id for index in (3, 5, 4, 2, 0, 1)]
    one_by_one = [reserve_one(vendor, limit=1).id for _ in sent]
    assert one_by_one == expected
    exchange(vendor, [Settlement(Token(message_id, 1), Released()) for message_id in expected])
    assert [message.id for message in reserve(vendor)] == expected


def test_answer_is_in_order_over_several_queues(vendor: Vendor) -> None:
    for index in range(12):
        send(vendor, queue="abc"[index % 3], priority=index % 2)
    messages = reserve(vendor)
    assert len(messages) == 12
    assert messages == sorted(messages, key=lambda message: (-message.priority, message.due_at, message.id))


def test_full_queue_does_not_starve_the_others(private: Vendor) -> None:
    if isinstance(private, PortableVendor):
        pytest.skip("it takes what was due first, whatever its queue")
    send(private, 60, queue="full")
    send(private, queue="small")
    # By chance all of these come from the full queue, once in a million million million times.
    assert "small" in {reserve_one(private, limit=1).queue for _ in range(60)}


def test_higher_priority_comes_first_whatever_its_queue(vendor: Vendor) -> None:
    send(vendor, 5, queue="a")
    (urgent,) = send(vendor, queue="z", priority=1)
    assert reserve_one(vendor, limit=1).id == urgent


def test_limit_is_kept(vendor: Vendor) -> None:
    send(vendor, 5, queue="a")
    send(vendor, 5, queue="b")
    assert [len(reserve(vendor, limit=limit)) for limit in (1, 7, 7, 7)] == [1, 7, 2, 0]


def test_delayed_message_is_not_received_early(vendor: Vendor) -> None:
    (message_id,) = send(vendor, delay=3600.0)
    send(vendor, due_at=time.time() + 3600.0)
    assert reserve(vendor) == []
    let_come_due(message_id)
    assert reserve_one(vendor).id == message_id


def test_blocked_message_is_never_received(vendor: Vendor) -> None:
    (message_id,) = send(vendor)
    Message.objects.update(due_at=None)
    supply = exchange(vendor, wanted=demand()).supply
    assert supply == Supply([], None)
    assert row(message_id).deliveries == 0


def test_supply_tells_when_the_next_message_comes_due(vendor: Vendor) -> None:
    assert exchange(vendor, wanted=demand()).supply == Supply([], None)
    send(vendor, delay=3600.0, priority=5)
    send(vendor, delay=600.0, queue="b")
    send(vendor, delay=60.0, queue="not ours")
    wanted = demand(queues=("default", "b"))
    supply = exchange(vendor, wanted=wanted).supply
    assert supply.reservations == [] and supply.next_due == pytest.approx(600, abs=5)
    send(vendor)
    supply = exchange(vendor, wanted=wanted).supply
    assert len(supply.reservations) == 1 and supply.next_due == pytest.approx(600, abs=5)


QUEUES = [
    (None, (), "abcd"),
    (("a", "c"), (), "ac"),
    (("a", "missing"), (), "a"),
    (("missing",), (), ""),
    (None, ("a", "missing"), "bcd"),
    (None, ("a", "b", "c", "d"), ""),
    (("a", "b"), ("b",), "a"),
]


@pytest.mark.parametrize(("queues", "excluded", "expected"), QUEUES)
def test_queues_are_all_or_those_named_but_for_the_excluded(
    vendor: Vendor, queues: tuple[str, ...] | None, excluded: tuple[str, ...], expected: str
) -> None:
    for queue in "abcd":
        send(vendor, queue=queue, priority=ord(queue))
        send(vendor, queue=queue)
        send(vendor, queue=queue, delay=60.0)
    wanted = demand(queues=queues, excluded=excluded)
    supply = exchange(vendor, wanted=wanted).supply
    assert sorted(message.queue for message in supply.reservations) == sorted(expected * 2)
    assert (supply.next_due is not None) == bool(expected)


BEGINS = [(True, False, True), (True, True, False), (True, None, False), (False, False, False)]


@pytest.mark.parametrize(("begin", "acks_late", "begins"), BEGINS)
def test_only_a_message_known_to_be_early_begins_with_its_reservation(
    vendor: Vendor, begin: bool, acks_late: bool | None, begins: bool
) -> None:
    (message_id,) = send(vendor, acks_late=acks_late)
    message = reserve_one(vendor, begin=begin)
    assert (message.started_at is not None) is begins
    assert (row(message_id).started_at is not None) is begins
    assert not message.begun_before


def test_revoked_message_does_not_begin_with_its_reservation(vendor: Vendor) -> None:
    send(vendor, acks_late=False)
    Message.objects.update(revoked_at=Now())
    message = reserve_one(vendor, begin=True)
    assert message.revoked and message.started_at is None


# Lapsed leases


def test_lapsed_lease_is_received_again_with_its_loss(vendor: Vendor) -> None:
    message = held(vendor)
    let_leases_lapse()
    again = reserve_one(vendor, worker=OTHER_WORKER)
    assert again.token == (message.id, 2)
    assert (again.losses, again.begun_before, again.retries) == (1, False, 0)
    (line,) = row(message.id).errors
    assert (line["kind"], line["type"], line["delivery"]) == ("lost", "djtasks.exceptions.WorkerLostError", 1)
    assert line["worker"].replace("-", "") == WORKER.replace("-", "") and line["failed_at"]
    assert str(row(message.id).worker) == OTHER_WORKER


def test_never_begun_message_is_charged_one_loss_however_often_it_lapses(vendor: Vendor) -> None:
    message = held(vendor)
    for _ in range(3):
        let_leases_lapse()
        message = reserve_one(vendor)
    assert (message.deliveries, message.losses) == (4, 1)
    assert [line["delivery"] for line in row(message.id).errors] == [1, 2, 3]


def test_begun_message_is_charged_for_every_loss(vendor: Vendor) -> None:
    message = held(vendor, acks_late=True)
    for losses in (1, 2, 3):
        assert begun(vendor, message.token, late=True)
        let_leases_lapse()
        message = reserve_one(vendor)
        assert (message.losses, message.begun_before) == (losses, True)
    assert message.started_at is not None
    assert all(line["started_at"] for line in row(message.id).errors)


def test_early_message_that_had_begun_says_so_when_it_comes_back(vendor: Vendor) -> None:
    send(vendor, acks_late=False)
    first = reserve_one(vendor, begin=True)
    let_leases_lapse()
    again = reserve_one(vendor, begin=True)
    assert again.begun_before and again.started_at == pytest.approx(first.started_at, abs=1e-6)


def test_lease_in_force_is_not_lapsed(vendor: Vendor) -> None:
    message = held(vendor)
    let_leases_lapse()
    vendor.renew([message.token], LEASE)
    assert reserve(vendor) == []


def test_lapsed_leases_are_left_alone_on_request(vendor: Vendor) -> None:
    held(vendor)
    let_leases_lapse()
    (fresh,) = send(vendor)
    assert [message.id for message in reserve(vendor, lapsed=False)] == [fresh]
    assert len(reserve(vendor)) == 1


# Remembered positions


def marks_behind(messages: list[Reservation]) -> tuple[Mark, ...]:
    positions = Positions(poll_seconds=60.0)
    positions.learn(Supply(messages), None, seconds=60.0, full=True)
    marks = positions.marks()
    assert marks is not None
    return marks


def test_marks_step_over_what_was_passed(vendor: Vendor) -> None:
    sent = send(vendor, 6)
    marks = marks_behind(reserve(vendor, limit=2))
    following = reserve(vendor, limit=2, marks=marks)
    assert [message.id for message in following] == sent[2:4]
    marks = marks_behind(following)
    assert [message.id for message in reserve(vendor, limit=9, marks=marks)] == sent[4:]


@pytest.mark.postgres
def test_marks_are_kept_for_each_queue_and_priority(private: Vendor) -> None:
    for queue in "ab":
        for priority in (0, 5):
            send(private, 2, queue=queue, priority=priority)
    received = [reserve_one(private, limit=1, queues=(queue,)) for queue in "ab"]
    marks = marks_behind(received)
    assert {(mark.queue, mark.priority) for mark in marks} == {("a", 5), ("b", 5)}
    following = reserve(private, marks=marks)
    assert [(message.queue, message.priority) for message in following] == [("a", 5), ("b", 5)]


LATE = {
    "late commit": {"due_at": 1_000_000_000.0},
    "higher priority": {"priority": 50},
    "another queue": {"queue": "another"},
}


@pytest.mark.parametrize("what", LATE)
def test_start_finds_what_lies_before_the_marks(vendor: Vendor, what: str) -> None:
    send(vendor)
    marks = marks_behind(reserve(vendor))
    (late,) = send(vendor, **LATE[what])
    reserve(vendor, marks=marks)  # it may find it, or not: a mark is a hint
    assert row(late).deliveries == 1 or [message.id for message in reserve(vendor)] == [late]


@pytest.mark.postgres
@pytest.mark.parametrize("what", LATE)
def test_marks_pass_by_what_lies_before_them(private: Vendor, what: str) -> None:
    send(private)
    marks = marks_behind(reserve(private))
    (late,) = send(private, **LATE[what])
    assert reserve(private, marks=marks) == []
    assert reserve_one(private).id == late


def test_start_finds_retries_releases_and_lapsed_leases(vendor: Vendor) -> None:
    retried, released, lapsed, kept = (held(vendor) for _ in range(4))
    marks = marks_behind([kept])
    assert settled(vendor, retried.token, Retry("{}", due_at=1_000_000_000.0))
    assert settled(vendor, released.token, Released())
    let_leases_lapse(lapsed.id)
    received = reserve(vendor, marks=marks) + reserve(vendor)
    assert {message.id for message in received} == {retried.id, released.id, lapsed.id}


@pytest.mark.postgres
def test_marks_are_exact_to_the_microsecond(private: Vendor) -> None:
    sent = []
    for micro in range(50):
        sent += send(private, due_at=1_700_000_000.0 + micro / 1_000_000)
    received: list[str] = []
    batch = reserve(private, limit=7)
    while batch:
        received += [message.id for message in batch]
        batch = reserve(private, limit=7, marks=marks_behind(batch))
    assert received == sent


# Several holders


def test_two_reservers_never_get_the_same_message(connect: Connect) -> None:
    sent = send(connect(), 400)
    holders = [connect() for _ in range(4)]

    def take_all(holder: Vendor) -> list[str]:
        taken: list[str] = []
        empty = 0
        while empty < 2:
            batch = reserve(holder, limit=7)
            taken += [message.id for message in batch]
            # What others hold locked is skipped: one look that finds nothing is no proof.
            empty = 0 if batch else empty + 1
        return taken

    with ThreadPoolExecutor(4) as threads:
        shares = list(threads.map(take_all, holders))
    received = [message_id for share in shares for message_id in share]
    assert len(received) == len(set(received))
    assert set(received) == set(sent)
    assert set(Message.objects.values_list("deliveries", flat=True)) == {1}


def test_two_reservers_never_get_the_same_lapsed_lease(connect: Connect) -> None:
    holders = [connect() for _ in range(4)]
    sent = set(send(holders[0], 20))
    for round in range(1, 11):
        with ThreadPoolExecutor(4) as threads:
            shares = list(threads.map(lambda holder: reserve(holder, limit=20), holders))
        tokens = [message.token for share in shares for message in share]
        assert len(tokens) == len(set(tokens)) and {token.deliveries for token in tokens} <= {round}
        # What nobody got this time was locked just when somebody looked.
        tokens += [message.token for message in reserve(holders[0])]
        assert {token.id for token in tokens} == sent
        let_leases_lapse()


def test_reserving_does_not_wait_for_a_locked_message(connect: Connect) -> None:
    first, second = connect(), connect()
    if not locks_rows(first):
        pytest.skip("there is but one lock")
    sent = send(first, 3)
    with open_transaction(first):
        assert [message.id for message in reserve(first, limit=1)] == sent[:1]
        assert [message.id for message in reserve(second)] == sent[1:]


def test_reservation_that_is_rolled_back_never_was(connect: Connect) -> None:
    first, second = connect(), connect()
    send(first)
    with open_transaction(first, commit=False):
        assert reserve_one(first).deliveries == 1
    assert reserve_one(second).deliveries == 1


# Remembering


def test_positions_begin_at_the_start_and_come_back_to_it() -> None:
    positions = Positions(poll_seconds=0.0)
    assert positions.marks() is None
    positions.learn(Supply([]), None, seconds=0.1, full=False)
    assert positions.marks() is None


def test_positions_are_forgotten_on_request(vendor: Vendor) -> None:
    positions = Positions(poll_seconds=60.0)
    positions.learn(Supply([held(vendor)]), None, seconds=60.0, full=True)
    assert positions.marks() and positions.until_start() > 0
    positions.forget()
    assert positions.marks() is None


def test_positions_move_forward_only(vendor: Vendor) -> None:
    first, second = held(vendor), held(vendor)
    positions = Positions(poll_seconds=60.0)
    positions.learn(Supply([second]), None, seconds=60.0, full=True)
    marks = positions.marks()
    positions.learn(Supply([first]), marks, seconds=60.0, full=True)
    assert positions.marks() == marks and marks[0].id == second.id


def test_start_is_read_again_once_the_queues_it_came_to_are_empty(vendor: Vendor) -> None:
    """H3: a reading that its limit cut short never came to the others, and what it cost it also brought."""
    sent = {message for queue in "abc" for message in send(vendor, 2, queue=queue)}
    positions, received = Positions(poll_seconds=60.0), set()
    for limit in (2, 3, 2, 3, 2, 3):
        marks = positions.marks()
        supply = exchange(vendor, wanted=demand(limit, marks=marks)).supply
        positions.learn(supply, marks, seconds=60.0, full=len(supply.reservations) == limit)
        received |= {message.id for message in supply.reservations}
    assert received == sent
    # The last came back short, as does every reading of an idle worker: the next one waits.
    positions.learn(Supply([]), None, seconds=60.0, full=False)
    positions.learn(Supply([]), positions.marks() or (), seconds=0.1, full=False)
    assert positions.until_start() > 0


@pytest.mark.parametrize("due_at", [-6.3e10, 0.0, 1e12])
def test_position_at_no_moment_ends_no_worker(vendor: Vendor, due_at: float) -> None:
    """S18, E3: it was learnt from a row that was spoilt by hand."""
    (message_id,) = send(vendor)
    mark = Mark("default", 0, due_at, str(uuid7()))
    found = reserve(vendor, marks=(mark,))
    # Where it lies beyond everything, it is a hint that some vendors follow.
    assert [message.id for message in found] in ([message_id], [] if due_at > 0 else [message_id])
