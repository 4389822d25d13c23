"""Leases between the heartbeat and the consumer, on the real tables: B1."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from djtasks.broker.renew import renew
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Demand, Reservation
from djtasks.domain.outcomes import Outcome, Released, Retry, Settlement
from tests.helpers import messages
from tests.tasks import note

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = str(uuid7())


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = private_vendor()
    yield made
    made.connection.close()


def reserve(vendor: Vendor) -> Reservation:
    demand = Demand(worker=WORKER, limit=1, lease=60, begin=True)
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
    message = reserve(vendor)
    settle(vendor, [Settlement(message.token, outcome)])
    renew(vendor, [message.token], 60)
    assert messages().get().leased_until is None


def test_lapsed_lease_that_nobody_took_is_renewed(vendor: Vendor) -> None:
    note.delay("diary", "word")
    message = reserve(vendor)
    let_lease_lapse(message)
    assert renew(vendor, [message.token], 60) == {message.token}
    assert messages().get().leased_until > timezone.now()
