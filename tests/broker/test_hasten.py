"""Messages that are to wait no longer for their time."""

from __future__ import annotations

from uuid import UUID, uuid4

from djtasks.broker.hasten import hasten
from djtasks.broker.vendors import Vendor
from djtasks.domain.outcomes import Retry
from tests.broker.sentences import facts, held, reserve, reserve_one, send, settled


def test_delayed_message_is_due(vendor: Vendor) -> None:
    (message_id,) = send(vendor, delay=3600)
    assert reserve(vendor) == []
    assert hasten(UUID(message_id))
    assert reserve_one(vendor).id == message_id


def test_retry_comes_at_once(vendor: Vendor) -> None:
    message = held(vendor)
    assert settled(vendor, message.token, Retry("{}", delay=3600))
    assert hasten(UUID(message.id))
    assert reserve_one(vendor).deliveries == 2


def test_what_does_not_wait_for_its_time_is_left_alone(vendor: Vendor) -> None:
    """B10: what is due, what is held, what is blocked, what is not there."""
    running = held(vendor).id
    (blocked,), (due,) = send(vendor, blocked=True), send(vendor)
    before = [facts(each) for each in (running, blocked, due)]
    assert not any(hasten(UUID(each)) for each in (running, blocked, due))
    assert not hasten(uuid4())
    assert [facts(each) for each in (running, blocked, due)] == before
