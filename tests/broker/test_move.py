"""Messages that are given another place."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from djtasks.broker.move import move
from djtasks.broker.vendors import Vendor
from djtasks.domain.outcomes import Released
from tests.broker.sentences import facts, held, reserve, reserve_one, row, send, settled


def test_message_is_received_where_it_was_put(vendor: Vendor) -> None:
    (message_id,) = send(vendor)
    assert move(UUID(message_id), queue="other", priority=7)
    assert reserve(vendor, queues=("default",)) == []
    message = reserve_one(vendor, queues=("other",))
    assert (message.id, message.priority) == (message_id, 7)


def test_one_of_both_may_stay_as_it_is(vendor: Vendor) -> None:
    (message_id,) = send(vendor, queue="first", priority=3)
    assert move(UUID(message_id), priority=4) and move(UUID(message_id), queue="second")
    assert (row(message_id).queue, row(message_id).priority) == ("second", 4)


def test_who_holds_it_is_not_disturbed(vendor: Vendor) -> None:
    """B12."""
    message = held(vendor)
    assert move(UUID(message.id), queue="other")
    assert settled(vendor, message.token, Released())
    assert reserve_one(vendor, queues=("other",)).id == message.id


def test_place_that_cannot_be_is_refused(vendor: Vendor) -> None:
    (message_id,) = send(vendor)
    before = facts(message_id)
    for wrong in ({"queue": "a b"}, {"priority": 101}, {"queue": ""}):
        with pytest.raises(ValueError):
            move(UUID(message_id), **wrong)
    assert facts(message_id) == before


def test_what_is_not_there_is_not_moved(vendor: Vendor) -> None:
    assert not move(uuid4(), queue="other") and not move(uuid4())
