"""What a lost answer leaves behind is found again."""

from __future__ import annotations

from djtasks.broker.recover import recover
from djtasks.broker.vendors import Vendor
from djtasks.domain.outcomes import Ignored, Released, Retry
from tests.broker.sentences import (
    LEASE,
    OTHER_WORKER,
    WORKER,
    begun,
    facts,
    held,
    let_leases_lapse,
    reserve,
    reserve_one,
    send,
    settled,
)


def test_reservations_that_were_never_heard_of_are_adopted(vendor: Vendor) -> None:
    """C3"""
    known = held(vendor)
    unheard = held(vendor, acks_late=False, queue="mail")
    assert begun(vendor, unheard.token)
    let_leases_lapse()
    send(vendor)
    found = recover(vendor, WORKER, [known.token], LEASE)
    (adopted,) = found.adopted
    assert adopted.token == unheard.token and adopted.queue == "mail"
    # Its body cannot have begun: nobody here knew of it.
    assert adopted.started_at is not None and not adopted.begun_before
    assert facts(unheard.id)["leased_until"].timestamp() > vendor.now().timestamp() + LEASE / 2
    assert facts(known.id)["leased_until"].timestamp() < vendor.now().timestamp()
    assert found.written == set()
    assert settled(vendor, adopted.token)


def test_adopted_message_that_had_begun_before_says_so(vendor: Vendor) -> None:
    (message_id,) = send(vendor, acks_late=False)
    assert reserve_one(vendor, begin=True, worker=OTHER_WORKER).id == message_id
    let_leases_lapse()
    assert reserve_one(vendor, begin=True).begun_before
    # The second time, too: the answer of the first may have been lost like the one before it.
    for _ in range(2):
        (adopted,) = recover(vendor, WORKER, [], LEASE).adopted
        assert adopted.token == (message_id, 2) and adopted.begun_before


def test_adopted_message_that_began_with_its_reservation_can_still_be_run(vendor: Vendor) -> None:
    (message_id,) = send(vendor, acks_late=False)
    reserve_one(vendor, worker=OTHER_WORKER)
    let_leases_lapse()
    released = reserve_one(vendor)
    assert settled(vendor, released.token, Released())
    assert reserve_one(vendor, begin=True).started_at is not None
    for _ in range(2):
        (adopted,) = recover(vendor, WORKER, [], LEASE).adopted
        assert adopted.token == (message_id, 3)
        assert adopted.started_at is not None and not adopted.begun_before


def test_what_others_hold_or_nobody_is_not_adopted(vendor: Vendor) -> None:
    send(vendor, 2)
    assert len(reserve(vendor, worker=OTHER_WORKER)) == 2
    released = held(vendor)
    assert settled(vendor, released.token, Released(delay=60.0))
    lost = held(vendor, queue="lost")
    let_leases_lapse(lost.id)
    assert reserve_one(vendor, worker=OTHER_WORKER, queues=("lost",)).id == lost.id
    assert recover(vendor, WORKER, [], LEASE) == ([], set())


def test_settlements_that_were_written_after_all_are_named(vendor: Vendor) -> None:
    ended, retried, released, kept, lost = (held(vendor).token for _ in range(5))
    assert settled(vendor, ended)
    assert settled(vendor, retried, Retry("", delay=60.0))
    assert settled(vendor, released, Released(delay=60.0))
    let_leases_lapse(lost.id)
    assert settled(vendor, reserve_one(vendor, worker=OTHER_WORKER).token)
    found = recover(vendor, WORKER, [ended, retried, released, kept, lost], LEASE)
    assert found.adopted == [] and found.written == {ended, retried, released}


def test_what_leaves_no_trace_is_not_called_written(vendor: Vendor) -> None:
    ignored = held(vendor).token
    assert settled(vendor, ignored, Ignored())
    assert recover(vendor, WORKER, [ignored], LEASE) == ([], set())
