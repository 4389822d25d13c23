"""What was undone for the sake of another transaction is done again: B3, C12, C22."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import F

from djtasks.broker import commands
from djtasks.broker.enqueue import enqueue
from djtasks.broker.hasten import hasten
from djtasks.broker.move import move
from djtasks.broker.note import note
from djtasks.broker.patience import ATTEMPTS, patiently
from djtasks.broker.pause import pause
from djtasks.broker.purge import purge_messages, purge_results
from djtasks.broker.recover import recover
from djtasks.broker.renew import renew
from djtasks.broker.requeue import requeue
from djtasks.broker.revoke import revoke
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Settlement
from djtasks.domain.workflows import FEEDS, Edge
from djtasks.models import Message, Queue
from tests.broker.locks import Late, locked_until_refused, meanwhile, until_someone_waits_for_a_lock, wait_shortly
from tests.broker.sentences import (
    DONE,
    LEASE,
    WORKER,
    held,
    locks_rows,
    new,
    open_transaction,
    row,
    send,
    settled,
)

Verb = Callable[[Vendor, Reservation, UUID, UUID], object]

# Of a message that is held, one that waits, and one that has ended.
VERBS: dict[str, Verb] = {
    "settle": lambda vendor, mine, waits, ended: settle(vendor, [Settlement(mine.token, DONE)]).settled,
    "renew": lambda vendor, mine, waits, ended: renew(vendor, [mine.token], LEASE),
    "note": lambda vendor, mine, waits, ended: note(vendor, {mine.token: '"half"'}),
    "recover": lambda vendor, mine, waits, ended: recover(vendor, WORKER, [], LEASE).adopted,
    "purge results": lambda vendor, mine, waits, ended: purge_results(vendor),
    "purge messages": lambda vendor, mine, waits, ended: purge_messages(vendor),
    "enqueue": lambda vendor, mine, waits, ended: enqueue([new()]),
    "hasten": lambda vendor, mine, waits, ended: hasten(waits),
    "move": lambda vendor, mine, waits, ended: move(waits, queue="mail"),
    "pause": lambda vendor, mine, waits, ended: pause("mail"),
    "revoke": lambda vendor, mine, waits, ended: revoke(waits) == "revoked",
    "requeue": lambda vendor, mine, waits, ended: requeue(ended) == "requeued",
    "command": lambda vendor, mine, waits, ended: commands.send(vendor, [UUID(WORKER)], "ping", {}),
}


@pytest.fixture
def other(transactional_db: None) -> Iterator[Vendor]:
    vendor = private_vendor()
    yield vendor
    vendor.connection.close()


@pytest.mark.parametrize("name", VERBS)
def test_verb_that_waited_too_long_is_done_again(private: Vendor, name: str) -> None:
    mine, gone = held(private), held(private)
    assert settled(private, gone.token, retention=-1.0)
    (waits,) = send(private, delay=60.0)
    with private.bound(), locked_until_refused(private) as refused:
        assert VERBS[name](private, mine, UUID(waits), UUID(gone.id))
    assert refused


def test_verb_that_is_refused_again_and_again_raises(private: Vendor, other: Vendor) -> None:
    (waits,) = send(private)
    private.now(), wait_shortly(private)
    attempts = []
    with open_transaction(other):
        message = Message.objects.filter(pk=waits)
        with other.bound():
            message.update(priority=F("priority"))

        def change() -> int:
            attempts.append(waits)
            return message.update(priority=5)

        with private.bound(), pytest.raises(DatabaseError) as refused:
            patiently(private, change)
    assert private.is_transient(refused.value) and len(attempts) == ATTEMPTS
    assert row(waits).priority == 0


def test_error_of_another_kind_is_raised_at_once(private: Vendor) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        with private.connection.cursor() as cursor:
            cursor.execute("SELECT nonsense FROM nowhere")

    with pytest.raises(DatabaseError):
        patiently(private, fail)
    assert len(attempts) == 1


def test_part_of_an_open_transaction_is_done_again_and_the_rest_stands(private: Vendor) -> None:
    if not locks_rows(private):
        pytest.skip("who has begun to write waits for nobody")
    (waits,) = send(private)
    with open_transaction(private), private.bound():
        assert pause("mail")
        with locked_until_refused(private, "message") as refused:
            assert move(UUID(waits), priority=5)
    assert refused and row(waits).priority == 5 and Queue.objects.get().name == "mail"


# Deadlocks, in which MySQL undoes at once whoever has written less


def test_verb_that_was_undone_for_a_deadlock_is_done_again(other: Vendor) -> None:
    """B3, C22"""
    with crossed(other, lambda first: revoke(first)) as late:
        assert late.result() == "revoked"
    assert not Message.objects.exclude(queue="bulk").exists()


def test_deadlock_that_undid_the_callers_transaction_is_the_callers(other: Vendor) -> None:
    """C22: what was done before in it would be missing."""

    def revoke_with_more(first: UUID) -> None:
        with transaction.atomic():
            pause("mail")
            revoke(first)

    with crossed(other, revoke_with_more) as late, pytest.raises(OperationalError, match="1213"):
        late.result()
    assert Message.objects.exclude(queue="bulk").count() == 2 and not Queue.objects.exists()


@contextmanager
def crossed(other: Vendor, act: Callable[[UUID], object]) -> Iterator[Late]:
    """Act on a message for which a second one waits, while another locks first the second, and then the first."""
    if connection.vendor != "mysql":
        pytest.skip("whom PostgreSQL undoes is a matter of time, and on SQLite there is one lock")
    bulk, first, last = send(other, 50, queue="bulk"), new(feeds=FEEDS), new(blocked=True)
    other.insert_workflow([first, last], [Edge(last.id, first.id)])

    def in_thread() -> object:
        try:
            return act(UUID(first.id))
        finally:
            connection.close()

    def lock(*ids: str) -> None:
        with other.bound():
            Message.objects.filter(pk__in=ids).update(priority=F("priority") + 1)

    with meanwhile(in_thread) as late:
        with open_transaction(other):
            lock(*bulk, last.id)
            late.start()
            until_someone_waits_for_a_lock()
            lock(first.id)
        yield late
