"""A message that is enqueued is a row in its caller's transaction."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from djtasks.broker.enqueue import enqueue
from djtasks.broker.vendors import Vendor
from djtasks.domain.identifiers import uuid7
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Message
from tests.broker.conftest import Connect
from tests.broker.sentences import (
    error,
    held,
    lives,
    locks_rows,
    new,
    open_transaction,
    reserve,
    reserve_one,
    row,
    send,
)


def test_message_is_as_it_was_sent(vendor: Vendor) -> None:
    group, root, parent = str(uuid7()), str(uuid7()), str(uuid7())
    sent = new(
        task="tests.any",
        args='["ä", "\\"", "\\\\", 1.5, null]',
        kwargs='{"a": {"b": []}}',
        queue="mail",
        priority=-7,
        due_at=1_700_000_000.123456,
        expires_at=4_000_000_000.5,
        acks_late=False,
        options='{"shadow":"x"}',
        group=group,
        root=root,
        parent=parent,
    )
    vendor.insert([sent])
    message = reserve_one(vendor)
    assert message.id == sent.id and message.task == "tests.any"
    assert (row(sent.id).args, row(sent.id).kwargs) == (["ä", '"', "\\", 1.5, None], {"a": {"b": []}})
    assert (message.queue, message.priority, message.acks_late) == ("mail", -7, False)
    assert message.due_at == pytest.approx(1_700_000_000.123456, abs=1e-6)
    assert message.expires_at == pytest.approx(4_000_000_000.5, abs=1e-6)
    assert (message.group, message.root, message.parent) == (group, root, parent)
    assert message.options.replace(" ", "") == '{"shadow":"x"}'


@pytest.mark.parametrize("count", [1, 3])
def test_sender_is_told_when_it_was_enqueued(vendor: Vendor, count: int) -> None:
    messages = [new() for _ in range(count)]
    moment = vendor.insert(messages)
    assert {row(message.id).enqueued_at for message in messages} == {moment}
    assert moment == row(messages[0].id).enqueued_at


@pytest.mark.parametrize("acks_late", [None, False, True])
def test_what_is_left_out_stays_out(vendor: Vendor, acks_late: bool | None) -> None:
    send(vendor, acks_late=acks_late)
    message = reserve_one(vendor)
    assert message.acks_late is acks_late
    assert (message.expires_at, message.group, message.root, message.parent) == (None, None, None, None)
    assert (message.deliveries, message.retries, message.losses) == (1, 0, 0)
    assert not message.begun_before and not message.revoked and message.started_at is None


def test_many_are_inserted_each_as_it_was_sent(vendor: Vendor) -> None:
    sent = [
        new(args='["a,b"]', queue="a", priority=3, acks_late=True),
        new(args='["{}"]', queue="b", delay=100.0, expires_in=50.0),
        new(args='["\\\\\\""]', kwargs='{"NULL": null}', queue="c", parent=str(uuid7()), expires_at=4_000_000_000.0),
        new(args='[" \\t"]', queue="d", due_at=1_700_000_000.0),
    ]
    vendor.insert(sent)
    rows = [row(message.id) for message in sent]
    assert [each.args for each in rows] == [["a,b"], ["{}"], ['\\"'], [" \t"]]
    assert [each.queue for each in rows] == ["a", "b", "c", "d"]
    assert [each.acks_late for each in rows] == [True, None, None, None]
    assert [each.expires_at is None for each in rows] == [True, False, False, True]
    assert rows[1].expires_at < rows[1].due_at and rows[2].kwargs == {"NULL": None}
    assert [each.id for each in reserve(vendor)] == [sent[0].id, sent[3].id, sent[2].id]


@pytest.mark.parametrize("count", [1, 3])
def test_insert_joins_its_callers_transaction(count: int) -> None:
    messages = [new() for _ in range(count)]
    with transaction.atomic():
        enqueue(messages)
        assert lives(messages[0].id)
        transaction.set_rollback(True)
    assert not Message.objects.exists()
    with transaction.atomic():
        enqueue(messages)
    assert Message.objects.count() == count


def test_nobody_receives_before_the_commit(connect: Connect) -> None:
    sender, receiver = connect(), connect()
    with open_transaction(sender):
        sent = send(sender)
        if locks_rows(receiver):
            assert reserve(receiver) == []
    assert [message.id for message in reserve(receiver)] == sent


def test_countdown_runs_by_the_clock_of_the_database(vendor: Vendor) -> None:
    before = vendor.now()
    sent = row(*send(vendor, delay=3600.0, expires_in=7200.0))
    many = row(send(vendor, 2, delay=3600.0, expires_in=7200.0)[0])
    after = vendor.now()
    for message in (sent, many):
        assert before <= message.enqueued_at <= after
        assert (message.due_at - message.enqueued_at).total_seconds() == pytest.approx(3600, abs=0.001)
        assert (message.expires_at - message.enqueued_at).total_seconds() == pytest.approx(7200, abs=0.001)


def test_countdown_begins_with_the_call_not_with_its_transaction(vendor: Vendor) -> None:
    """D3"""
    with open_transaction(vendor):
        (first,) = send(vendor)
        seen = vendor.now()
        (second,) = send(vendor)
        (third, _) = send(vendor, 2)
    assert row(first).due_at <= seen <= row(second).due_at <= row(third).due_at


@pytest.mark.parametrize("count", [1, 3])
def test_known_id_is_refused_and_nothing_is_inserted(vendor: Vendor, count: int) -> None:
    known = held(vendor)
    messages = [new() for _ in range(count)]
    messages[-1] = messages[-1]._replace(id=known.id, task="another")
    with pytest.raises(AlreadyEnqueued):
        vendor.insert(messages)
    assert Message.objects.count() == 1
    assert row(known.id).task == "tests.add" and row(known.id).leased_until is not None


def test_refusal_leaves_the_callers_transaction_usable(vendor: Vendor) -> None:
    (known,) = send(vendor)
    with open_transaction(vendor):
        for messages in ([new(id=known)], [new(), new(id=known)]):
            for chosen in (None, [known]):
                with pytest.raises(AlreadyEnqueued):
                    vendor.insert(messages, chosen)
        (sent,) = send(vendor)
    assert {str(key) for key in Message.objects.values_list("pk", flat=True)} == {known, sent}


def test_same_id_twice_in_one_call_is_refused(vendor: Vendor) -> None:
    message = new()
    with pytest.raises(AlreadyEnqueued):
        vendor.insert([message, new(), message])
    assert not Message.objects.exists()


@pytest.mark.parametrize("count", [1, 3])
def test_what_else_a_table_refuses_is_no_taken_id(vendor: Vendor, count: int) -> None:
    """The database's own error says what it is."""
    nameless: Any = None
    messages = [new(task=nameless), *(new() for _ in range(count - 1))]
    with pytest.raises(IntegrityError, match=r"(?i)null"):
        vendor.insert(messages)
    with pytest.raises(IntegrityError, match=r"(?i)null"):
        vendor.insert_workflow(messages, ())
    assert not Message.objects.exists()


def test_no_messages_are_no_statement(django_assert_num_queries: pytest.FixtureDef) -> None:
    with django_assert_num_queries(0):
        enqueue([])


@pytest.mark.postgres
@pytest.mark.parametrize("count", [1, 3])
def test_insert_is_one_statement_that_django_sees(django_assert_num_queries: pytest.FixtureDef, count: int) -> None:
    with django_assert_num_queries(1):
        enqueue([new() for _ in range(count)])


def test_text_that_looks_like_sql_is_text(vendor: Vendor) -> None:
    """S12"""
    name = "\"; DROP TABLE djtasks_message; -- %s {} ' \\"
    send(vendor, queue=name, task=name)
    send(vendor, 2, queue=name, task=name)
    messages = reserve(vendor, queues=(name,))
    assert [(message.queue, message.task) for message in messages] == [(name, name)] * 3
    assert error(name)  # and so it stands in a line of errors, too
