"""What runs say of themselves is written while their messages are their holders' own."""

from __future__ import annotations

from djtasks.broker import note
from djtasks.broker.vendors import Vendor
from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Released
from tests.broker.conftest import Connect
from tests.broker.sentences import (
    LEASE,
    facts,
    held,
    let_leases_lapse,
    locks_rows,
    open_transaction,
    reserve,
    reserve_one,
    row,
    send,
    settled,
)

NOTE = '{"done":1}'


def test_note_is_written_and_nothing_else(vendor: Vendor) -> None:
    message = held(vendor)
    before = facts(message.id)
    assert vendor.note({message.token: NOTE}) == {message.token}
    after = facts(message.id)
    assert {name for name in after if after[name] != before[name]} == {"meta"}
    assert row(message.id).meta == {"done": 1}


def test_each_message_gets_its_own(vendor: Vendor) -> None:
    tokens = [held(vendor).token for _ in range(3)]
    notes = {token: f'{{"done":{at},"message":"a \\"{at}\\" {{}} \\\\ é"}}' for at, token in enumerate(tokens)}
    assert vendor.note(notes) == set(tokens)
    assert [row(token.id).meta["done"] for token in tokens] == [0, 1, 2]
    assert row(tokens[2].id).meta["message"] == 'a "2" {} \\ é'


def test_only_the_holder_can_note(vendor: Vendor) -> None:
    """G4."""
    ended, released, taken, kept = (held(vendor).token for _ in range(4))
    assert settled(vendor, ended) and settled(vendor, released, Released(delay=60.0))
    let_leases_lapse(taken.id)
    again = reserve_one(vendor).token
    assert vendor.note(dict.fromkeys([ended, released, taken, kept], NOTE)) == {kept}
    assert row(taken.id).meta is row(released.id).meta is None
    assert vendor.note({again: NOTE}) == {again}


def test_locked_row_is_passed_over(connect: Connect) -> None:
    """The lock of a body's own transaction keeps neither the other notes nor the renewal of leases waiting."""
    body, heartbeat = connect(), connect()
    if not locks_rows(body):
        return
    locked, free = held(body).token, held(body).token
    with open_transaction(body):
        body.renew([locked], LEASE)
        assert heartbeat.note({locked: NOTE, free: NOTE}) == {free}
    assert heartbeat.note({locked: NOTE}) == {locked}


def test_more_than_a_batch_is_noted(vendor: Vendor) -> None:
    count = note.BATCH + 5
    send(vendor, count)
    tokens = [message.token for message in reserve(vendor, limit=count)]
    stale = [Token(token.id, 7) for token in tokens]
    assert note.note(vendor, dict.fromkeys([*stale, *tokens], NOTE)) == set(tokens)


def test_nothing_is_noted_for_nobody(vendor: Vendor) -> None:
    assert note.note(vendor, {}) == set()
