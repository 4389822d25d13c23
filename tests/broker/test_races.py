"""Two who want to write the same row: G4, B1, B3, B9; and two who want to reserve it."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from djtasks.broker.enqueue import enqueue
from djtasks.broker.purge import purge_results
from djtasks.broker.renew import renew
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Demand, NewMessage, Reservation, Token
from djtasks.domain.outcomes import Failure, Outcome, Released, Retry, Settlement, Success
from djtasks.models import Message, Result

pytestmark = pytest.mark.django_db(transaction=True)
LAPSED = 0.0
HELD = 60.0


def send(count: int = 1) -> list[str]:
    messages = [NewMessage(id=str(uuid7()), task="a.task", acks_late=True) for _ in range(count)]
    enqueue(messages)
    return [message.id for message in messages]


def reserve(vendor: Vendor, *, lease: float = HELD, limit: int = 100) -> list[Reservation]:
    demand = Demand(worker=str(uuid.uuid4()), limit=limit, lease=lease)
    return settle(vendor, (), (), demand).supply.reservations


def end(vendor: Vendor, token: Token, outcome: Outcome) -> bool:
    return token in settle(vendor, [Settlement(token, outcome, 1.0)]).settled


@pytest.fixture
def vendors() -> list[Vendor]:
    """Two holders with connections of their own."""
    vendors = [private_vendor(), private_vendor()]
    yield vendors
    for vendor in vendors:
        vendor.connection.close()


@pytest.mark.parametrize(
    "outcome",
    [Success("1"), Failure("{}"), Retry("{}"), Released(loss=True, error="{}")],
    ids=lambda o: type(o).__name__,
)
def test_holder_of_an_older_delivery_writes_nothing(vendors: list[Vendor], outcome: Outcome) -> None:
    """G4, A5, B9."""
    stale, holder = vendors
    send()
    (first,) = reserve(stale, lease=LAPSED)
    (second,) = reserve(holder)
    assert (second.id, second.deliveries) == (first.id, 2)
    before = Message.objects.values().get()
    assert not end(stale, first.token, outcome)
    assert not renew(stale, [first.token], HELD).held
    assert not settle(stale, (), [(first.token, True)]).begun
    assert Message.objects.values().get() == before
    assert not Result.objects.exists()
    assert end(holder, second.token, Success("2"))
    assert Result.objects.get().value == 2


def test_two_deliveries_of_one_message_in_one_batch(vendors: list[Vendor]) -> None:
    """B9: what is settled is a delivery, not a message."""
    vendor, _ = vendors
    send()
    (first,), (second,) = reserve(vendor, lease=LAPSED), reserve(vendor)
    both = [Settlement(first.token, Failure("{}"), 1.0), Settlement(second.token, Success("2"), 1.0)]
    assert settle(vendor, both).settled == {second.token}
    assert Result.objects.get().state == "SUCCESS"


@pytest.mark.parametrize("outcome", [Success("1"), Retry("{}", delay=0), Released()], ids=lambda o: type(o).__name__)
def test_settling_twice_writes_once(vendors: list[Vendor], outcome: Outcome) -> None:
    """C3: the repeat of a settlement whose answer was lost."""
    vendor, other = vendors
    send()
    (held,) = reserve(vendor)
    assert end(vendor, held.token, outcome)
    assert not end(other, held.token, outcome)
    assert sum(Message.objects.values_list("retries", flat=True)) == isinstance(outcome, Retry)


@pytest.mark.postgres
@pytest.mark.parametrize("first_is_the_settlement", [True, False])
def test_settlement_and_lapse_cannot_both_win(vendors: list[Vendor], first_is_the_settlement: bool) -> None:
    """B1: one holds the row's lock, the other waits or passes by, and finds nothing to write."""
    holder, heir = vendors
    send()
    (held,) = reserve(holder, lease=LAPSED)
    heir.connection.ensure_connection(), holder.connection.ensure_connection()

    def settlement() -> bool:
        return end(holder, held.token, Success("1"))

    def lapse() -> bool:
        return bool(reserve(heir))

    first, second = (settlement, lapse) if first_is_the_settlement else (lapse, settlement)
    owner = holder if first_is_the_settlement else heir
    with ThreadPoolExecutor() as threads:
        owner.connection.set_autocommit(False)
        assert first()
        waiting = threads.submit(second)
        if not first_is_the_settlement:
            _until_a_session_waits_for_a_lock()
        owner.connection.commit()
        owner.connection.set_autocommit(True)
        assert not waiting.result(timeout=10)
    assert Result.objects.count() + Message.objects.count() == 1


def _until_a_session_waits_for_a_lock() -> None:
    with connection.cursor() as cursor:
        waiting = 0
        while not waiting:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            (waiting,) = cursor.fetchone()


def in_threads(count: int, work: Callable[[Vendor, int], None]) -> None:
    """Let each thread work on a connection of its own; raise what one of them raises."""

    def run(number: int) -> None:
        vendor = private_vendor()
        try:
            work(vendor, number)
        finally:
            vendor.connection.close()
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        for future in [threads.submit(run, number) for number in range(count)]:
            future.result()


def test_no_message_is_reserved_twice() -> None:
    """G3: many at a time, each message to one of them."""
    ids = send(300)
    received: list[str] = []

    def work(vendor: Vendor, number: int) -> None:
        while reserved := reserve(vendor, limit=7):
            received.extend(message.id for message in reserved)

    in_threads(4, work)
    assert sorted(received) == sorted(ids)


def test_settling_in_any_order_does_not_deadlock() -> None:
    """B3: eight settle overlapping batches in random order while another purges."""
    send(400)
    vendor = private_vendor()
    held = []
    while reserved := reserve(vendor, limit=100):
        held += reserved
    vendor.connection.close()
    deadlocks = _deadlocks()
    written: list[Token] = []
    ended = threading.Event()

    def work(vendor: Vendor, number: int) -> None:
        if number == 8:
            while not ended.is_set():
                purge_results(vendor)
            return
        shuffled = random.Random(number).sample(held, len(held))
        for start in range(0, len(shuffled), 40):
            batch = [Settlement(message.token, Success("1"), 1.0) for message in shuffled[start : start + 40]]
            written.extend(settle(vendor, batch, retention=0.001).settled)
        if len(written) == len(held):
            ended.set()

    in_threads(9, work)
    assert sorted(written) == sorted(message.token for message in held)
    assert _deadlocks() == deadlocks


def _deadlocks() -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
