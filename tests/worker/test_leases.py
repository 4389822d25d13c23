"""Leases after a race or a lost answer, on the real tables: A9, B1, C3."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from djtasks.broker.recover import recover
from djtasks.broker.renew import renew
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Demand, Reservation
from djtasks.domain.outcomes import Outcome, Released, Retry, Settlement, Success
from tests.helpers import messages
from tests.tasks import note, note_late

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, SECOND = str(uuid7()), str(uuid7())


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = private_vendor()
    yield made
    made.connection.close()


def reserve(vendor: Vendor, worker: str, lease: float = 60) -> Reservation:
    demand = Demand(worker=worker, limit=1, lease=lease, begin=True)
    (message,) = settle(vendor, (), (), demand).supply.reservations
    return message


def let_lease_lapse(message: Reservation) -> None:
    """Make it a minute old, and a second too old."""
    past = timezone.now() - timedelta(seconds=1)
    messages().filter(pk=message.id).update(leased_until=past)
    messages().filter(pk=message.id, started_at__isnull=False).update(started_at=past - timedelta(seconds=60))


@pytest.mark.parametrize("outcome", [Released(), Retry(error="{}", delay=30)], ids=["released", "to be retried"])
def test_what_was_given_back_is_not_renewed(vendor: Vendor, outcome: Outcome) -> None:
    """B1: the heartbeat lists its leases a moment before one of them is given back."""
    note.delay("diary", "word")
    message = reserve(vendor, FIRST)
    settle(vendor, [Settlement(message.token, outcome)])
    renew(vendor, [message.token], 60)
    assert messages().get().leased_until is None


def test_lapsed_lease_that_nobody_took_is_renewed(vendor: Vendor) -> None:
    note.delay("diary", "word")
    message = reserve(vendor, FIRST)
    let_lease_lapse(message)
    assert renew(vendor, [message.token], 60).held == {message.token}
    assert messages().get().leased_until > timezone.now()


def test_reservation_without_an_answer_is_adopted(vendor: Vendor) -> None:
    """C3: with what it has begun in the same statement, which nobody has run."""
    note.delay("diary", "word")
    unknown = reserve(vendor, FIRST)
    (adopted,) = recover(vendor, FIRST, [], 60).adopted
    assert (adopted.token, adopted.begun_before) == (unknown.token, False)
    assert adopted.started_at is not None
    assert recover(vendor, FIRST, [adopted.token], 60).adopted == []
    assert recover(vendor, SECOND, [], 60).adopted == []


def test_adopted_message_that_another_had_begun_is_known_as_such(vendor: Vendor) -> None:
    """C3, ACK-1: an early message of a dead worker does not run because an answer was lost, too."""
    note.delay("diary", "word")
    let_lease_lapse(reserve(vendor, FIRST))
    assert reserve(vendor, SECOND).begun_before
    (adopted,) = recover(vendor, SECOND, [], 60).adopted
    assert adopted.begun_before


def test_settlements_without_an_answer_are_known(vendor: Vendor) -> None:
    """C3."""
    given: dict[str, Any] = {}
    for word, outcome in [("ended", Success("1")), ("back", Released(delay=60)), ("open", None)]:
        note_late.delay("diary", word)
        given[word] = reserve(vendor, FIRST).token
        if outcome is not None:
            settle(vendor, [Settlement(given[word], outcome)])
    found = recover(vendor, FIRST, list(given.values()), 60)
    assert found.written == {given["ended"], given["back"]}
    assert found.adopted == []
