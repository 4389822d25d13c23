"""Leases are extended while they are their holder's own."""

from __future__ import annotations

from djtasks.broker.renew import BATCH, renew
from djtasks.broker.vendors import Vendor
from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Released
from tests.broker.conftest import Connect
from tests.broker.sentences import (
    LEASE,
    exchange,
    facts,
    held,
    let_leases_lapse,
    locks_rows,
    open_transaction,
    reserve,
    reserve_one,
    send,
    settled,
)


def test_lease_is_extended_and_nothing_else(vendor: Vendor) -> None:
    message = held(vendor)
    before = facts(message.id)
    assert vendor.renew([message.token], LEASE * 10) == {message.token}
    after = facts(message.id)
    assert {name for name in after if after[name] != before[name]} == {"leased_until"}
    assert (after["leased_until"] - before["leased_until"]).total_seconds() > LEASE * 8


def test_those_that_are_gone_are_told_from_those_that_are_held(vendor: Vendor) -> None:
    kept, ended, released, taken = (held(vendor).token for _ in range(4))
    assert settled(vendor, ended) and settled(vendor, released, Released(delay=60.0))
    let_leases_lapse(taken.id)
    again = reserve_one(vendor).token
    tokens = [taken, released, kept, ended]
    assert vendor.renew(tokens, LEASE) == {kept}
    assert vendor.renew([*tokens, again], LEASE) == {kept, again}


def test_nothing_is_renewed_for_nobody(vendor: Vendor) -> None:
    assert vendor.renew([], LEASE) == set()


def test_what_is_being_settled_is_passed_over_but_not_called_lost(connect: Connect) -> None:
    consumer, heartbeat = connect(), connect()
    if not locks_rows(consumer):
        return
    settling, other = held(consumer).token, held(consumer).token
    before = facts(settling.id)
    with open_transaction(consumer, commit=False):
        assert settled(consumer, settling)
        assert heartbeat.renew([settling, other], LEASE) == {settling, other}
    assert facts(settling.id) == before
    assert settled(consumer, settling)
    assert heartbeat.renew([settling, other], LEASE) == {other}


def test_more_than_a_batch_is_renewed(vendor: Vendor) -> None:
    send(vendor, BATCH + 5)
    tokens = [message.token for message in reserve(vendor, limit=BATCH + 5)]
    stale = [Token(token.id, 7) for token in tokens]
    assert len(tokens) == BATCH + 5
    assert renew(vendor, [*stale, *tokens], LEASE) == set(tokens)
    exchange(vendor)
