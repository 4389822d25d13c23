"""What SQLite needs: one writer at a time, who takes the lock at once and not for long."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from tests.broker.sentences import held, let_leases_lapse, lives, new, open_transaction, reserve, row, send, settled

pytestmark = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="needs SQLite")


def test_idle_worker_does_not_wait_for_a_writer(private: Vendor) -> None:
    """H5"""
    send(private, delay=60.0)
    other = private_vendor()
    with private.connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")
    with open_transaction(other):
        send(other)
        assert reserve(private) == []
        assert not private.living([new().id])
    assert len(reserve(private)) == 1
    other.connection.close()


def test_verbs_join_a_transaction_that_is_open(private: Vendor) -> None:
    usual = shared_vendor()
    message = held(usual)
    with transaction.atomic():
        assert settled(usual, message.token)
        transaction.set_rollback(True)
    assert lives(message.id)


def test_failed_write_leaves_no_transaction_open(private: Vendor) -> None:
    message = held(private)
    with pytest.raises(ZeroDivisionError), private._raw() as raw, private._writing(raw):
        raw.execute("DELETE FROM djtasks_message")
        raise ZeroDivisionError
    assert not private.connection.connection.in_transaction
    assert settled(private, message.token)


@pytest.mark.parametrize("column", ["due_at", "enqueued_at", "expires_at", "started_at", "leased_until"])
def test_moments_that_are_none_harm_nobody(private: Vendor, column: str) -> None:
    """S18"""
    (spoilt,) = send(private)
    (other,) = send(private)
    with connection.cursor() as cursor:
        key = spoilt.replace("-", "")
        cursor.execute(f"UPDATE djtasks_message SET {column} = '0 nonsense' WHERE id = %s", [key])  # noqa: S608
    assert {message.id for message in reserve(private)} == {spoilt, other}


def test_moments_with_and_without_fractions_are_in_order(private: Vendor) -> None:
    moments = [1_700_000_000.0, 1_700_000_000.5, 1_700_000_001.0, 1_700_000_000.000001]
    sent = {moment: send(private, due_at=moment)[0] for moment in moments}
    assert [message.id for message in reserve(private)] == [sent[moment] for moment in sorted(moments)]
    let_leases_lapse()
    assert [reserve(private, limit=1)[0].id for _ in moments] == [sent[moment] for moment in sorted(moments)]
    assert all(row(message_id).deliveries == 2 for message_id in sent.values())
