"""Messages that wait for others: each step is decided in the transaction that settles what it waited for (CANV)."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from djtasks.broker.enqueue import enqueue_workflow
from djtasks.broker.purge import purge_messages
from djtasks.broker.revoke import revoke
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor
from djtasks.domain.messages import NewMessage, Reservation, Token
from djtasks.domain.outcomes import Failure, Ignored, Outcome, Rejected, Released, Replaced, Retry, Settlement, Success
from djtasks.domain.workflows import END, FAILURE, FEEDS, FEEDS_ON_FAILURE, LIST, NOTHING, VALUE, Edge
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Dependency, Message, Result
from tests.broker.conftest import Connect
from tests.broker.sentences import (
    error,
    let_leases_lapse,
    lives,
    locks_rows,
    new,
    open_transaction,
    reserve,
    reserve_one,
    result,
    row,
)

FAILED = Failure(error("broken"))


def member(**given: Any) -> NewMessage:
    return new(**{"feeds": FEEDS, **given})


def waiting(**given: Any) -> NewMessage:
    return new(**{"blocked": True, "inputs": VALUE, **given})


def chain(*, last: dict[str, Any] | None = None, length: int = 3) -> list[str]:
    """Insert a chain; return its ids."""
    messages = [member(), *(waiting(feeds=FEEDS) for _ in range(length - 2)), waiting(**(last or {}))]
    ids = [message.id for message in messages]
    enqueue_workflow(messages, [Edge(later, earlier, 0) for earlier, later in pairwise(ids)])
    return ids


def chord(size: int, **body: Any) -> tuple[list[str], str]:
    """Insert a chord; return the ids of its header, and of its body."""
    header, last = [member() for _ in range(size)], waiting(**{"inputs": LIST, **body})
    enqueue_workflow([*header, last], [Edge(last.id, each.id, place) for place, each in enumerate(header)])
    return [each.id for each in header], last.id


def end(vendor: Vendor, message: Reservation, outcome: Outcome) -> bool:
    """Settle as a worker does; say whether that was written."""
    return message.token in settle(vendor, [Settlement(message.token, outcome, message=message)]).settled


def end_next(vendor: Vendor, outcome: Outcome) -> Reservation:
    """Reserve the one message that is due, and settle it."""
    message = reserve_one(vendor)
    assert end(vendor, message, outcome)
    return message


def by_id(vendor: Vendor) -> dict[str, Reservation]:
    return {message.id: message for message in reserve(vendor)}


def kept(message_id: str) -> Result:
    found = result(message_id)
    assert found is not None
    return found


def test_step_waits_for_the_one_before(vendor: Vendor) -> None:
    """CANV-4."""
    first, second, third = chain()
    end_next(vendor, Success('"one"'))
    step = reserve_one(vendor)
    assert (step.id, step.handed, step.args) == (second, '["one"]', "[1,2]")
    assert end(vendor, step, Success('"two"'))
    last = end_next(vendor, Success("3"))
    assert (last.id, last.handed) == (third, '["two"]')
    assert kept(third).args == ["two", 1, 2] and kept(first).args == [1, 2]
    assert not Dependency.objects.exists() and not Message.objects.exists()


def test_body_waits_for_the_whole_header_and_gets_its_values_in_order(vendor: Vendor) -> None:
    """CANV-7: whoever ends first; one that ignores its result feeds the body all the same."""
    header, body = chord(3)
    messages = by_id(vendor)
    assert set(messages) == set(header)
    for position in (2, 0, 1):
        assert not reserve(vendor)
        assert end(vendor, messages[header[position]], Success(str(position), keep=position != 1))
    last = reserve_one(vendor)
    assert (last.id, last.handed) == (body, "[[0,1,2]]")
    assert result(header[1]) is None
    assert end(vendor, last, Success("null")) and kept(body).args == [[0, 1, 2], 1, 2]


def test_header_that_ends_in_one_commit_unblocks(vendor: Vendor) -> None:
    header, body = chord(5)
    messages = by_id(vendor)
    settlements = [Settlement(messages[pk].token, Success("1"), message=messages[pk]) for pk in header]
    assert len(settle(vendor, settlements).settled) == 5
    assert reserve_one(vendor).id == body


def test_immutable_step_is_handed_nothing(vendor: Vendor) -> None:
    """CANV-1."""
    chain(length=2, last={"inputs": NOTHING})
    end_next(vendor, Success('"one"'))
    last = end_next(vendor, Success("2"))
    assert last.handed is None and kept(last.id).args == [1, 2]
    assert not Dependency.objects.exists()


def test_two_who_end_at_once_unblock_once(connect: Connect) -> None:
    """G9, B7: neither sees what the other has written, so the second waits, and looks again."""
    one, other = connect(), connect()
    if not locks_rows(one):
        pytest.skip("there is but one writer at a time")
    header, body = chord(2)
    messages = by_id(one)
    done: list[bool] = []
    with open_transaction(one):
        assert end(one, messages[header[0]], Success("0"))
        second = threading.Thread(target=lambda: done.append(end(other, messages[header[1]], Success("1"))))
        second.start()
        second.join(0.2)
        assert second.is_alive()
    second.join()
    assert done == [True] and reserve_one(one).id == body


def test_stale_holder_writes_into_no_edge(vendor: Vendor) -> None:
    """G4, A5: not even when it comes later than the one that may."""
    first, _ = chain(length=2)
    stale = reserve_one(vendor)
    let_leases_lapse()
    current = reserve_one(vendor)
    assert not end(vendor, stale, Success('"stale"')) and not end(vendor, stale, FAILED)
    assert Dependency.objects.get().fate == "" and lives(first)
    assert end(vendor, current, Success('"current"'))
    assert not end(vendor, stale, Success('"stale"')) and not end(vendor, stale, FAILED)
    assert reserve_one(vendor).handed == '["current"]'


def test_lost_step_is_handed_the_same_again(vendor: Vendor) -> None:
    chain(length=2)
    end_next(vendor, Success('"one"'))
    reserve_one(vendor)
    let_leases_lapse()
    assert reserve_one(vendor).handed == '["one"]'


@pytest.mark.parametrize("outcome", [Retry(error("again")), Released(), Rejected(error("no"), requeue=True)])
def test_retry_does_not_count(vendor: Vendor, outcome: Outcome) -> None:
    """CANV-9."""
    first, second = chain(length=2)
    end_next(vendor, outcome)
    assert row(second).due_at is None
    assert end_next(vendor, Success('"at last"')).id == first
    assert reserve_one(vendor).id == second


def test_retry_with_other_arguments_is_handed_nothing_more(vendor: Vendor) -> None:
    """RETRY-1: they were made from what it had been handed."""
    _, second = chain(length=2)
    end_next(vendor, Success('"one"'))
    end_next(vendor, Retry(error("again"), args='["one",3]'))
    again = end_next(vendor, Success("null"))
    assert (again.handed, again.args) == (None, '["one",3]')
    assert kept(second).args == ["one", 3] and not Dependency.objects.exists()


@pytest.mark.parametrize("outcome", [FAILED, FAILED._replace(keep=False), Rejected(error("broken"))])
def test_failure_ends_all_later_steps(vendor: Vendor, outcome: Outcome) -> None:
    """CANV-4: with the same error, so that nobody waits in vain."""
    _, *later = chain(length=4)
    end_next(vendor, outcome)
    assert [(kept(pk).state, kept(pk).errors[-1]["message"]) for pk in later] == [("FAILURE", "broken")] * 3
    assert not Message.objects.exists()


def test_failure_in_a_header_ends_the_body(vendor: Vendor) -> None:
    """CANV-8: at once, and what else is in the header goes on."""
    header, body = chord(3)
    messages = by_id(vendor)
    assert end(vendor, messages[header[1]], FAILED)
    found = kept(body).errors[-1]
    assert found["type"] == "djtasks.exceptions.ChordError" and found["cause"]["message"] == "broken"
    assert found["message"] == f"Dependency {header[1]} raised ValueError(broken)"
    assert end(vendor, messages[header[0]], Success("0")) and end(vendor, messages[header[2]], FAILED)
    assert kept(header[0]).value == 0 and not Message.objects.exists()


def test_what_was_ignored_stops_a_workflow(vendor: Vendor) -> None:
    """TASK-4: nothing is recorded of it, but nobody waits in vain."""
    first, second = chain(length=2)
    end_next(vendor, Ignored())
    assert result(first) is None
    assert (kept(second).state, kept(second).errors[-1]["reason"]) == ("REVOKED", "ignored")


@pytest.mark.parametrize("position", [0, 1])
def test_revoked_step_ends_what_comes_after(vendor: Vendor, position: int) -> None:
    """WORK-9, CANV-4: whether it was due or still waited itself."""
    ids = chain()
    assert revoke(UUID(ids[position])) == "revoked"
    assert [kept(pk).state for pk in ids[position:]] == ["REVOKED"] * (3 - position)
    assert [kept(pk).errors[-1]["reason"] for pk in ids[position:]] == ["revoked"] * (3 - position)
    assert Message.objects.count() == position
    if position:
        end_next(vendor, Success("1"))


def test_purged_message_ends_what_comes_after(vendor: Vendor) -> None:
    first, *later = chain()
    Message.objects.filter(pk__in=later).update(queue="other")
    with open_transaction(vendor):
        assert purge_messages(vendor, ["default"]) == 1
    assert [kept(pk).state for pk in (first, *later)] == ["REVOKED"] * 3


@pytest.mark.parametrize(
    ("on", "outcome", "state"),
    [
        (END, Success("1"), "due"),
        (END, FAILED, "due"),
        (END, Ignored(), "due"),
        (FAILURE, FAILED, "due"),
        (FAILURE, Success("1"), "dropped"),
        (FAILURE, Ignored(), "dropped"),
    ],
)
def test_edge_has_its_condition(vendor: Vendor, on: str, outcome: Outcome, state: str) -> None:
    first, last = member(feeds=FEEDS_ON_FAILURE), waiting(inputs=NOTHING)
    enqueue_workflow([first, last], [Edge(last.id, first.id, None, on)])
    end_next(vendor, outcome)
    if state == "due":
        assert reserve_one(vendor).id == last.id
    else:
        assert not lives(last.id) and result(last.id) is None and not Dependency.objects.exists()


def test_what_waits_for_the_dropped_ends_as_well(vendor: Vendor) -> None:
    first, repair, after, always = (
        member(feeds=2),
        waiting(feeds=FEEDS, inputs=NOTHING),
        waiting(),
        waiting(inputs=NOTHING),
    )
    edges = [
        Edge(repair.id, first.id, None, FAILURE),
        Edge(after.id, repair.id, 0),
        Edge(always.id, repair.id, None, END),
    ]
    enqueue_workflow([first, repair, after, always], edges)
    end_next(vendor, Success("1"))
    assert result(repair.id) is None and kept(after.id).state == "REVOKED"
    assert reserve_one(vendor).id == always.id


def test_time_of_a_blocked_message_begins_when_it_is_unblocked(vendor: Vendor) -> None:
    """CALL-3, CALL-4."""
    eta = timezone.now() + timedelta(days=1)
    ids = {
        "delay": {"delay": 60.0},
        "eta": {"due_at": eta.timestamp()},
        "expires_in": {"expires_in": 60.0},
        "expires_at": {"expires_at": eta.timestamp()},
    }
    first = member()
    others = {name: waiting(**given) for name, given in ids.items()}
    enqueue_workflow([first, *others.values()], [Edge(other.id, first.id, 0) for other in others.values()])
    assert {row(other.id).due_at for other in others.values()} == {None}
    assert row(others["expires_in"].id).expires_at is None
    end_next(vendor, Success("1"))
    now = vendor.now()
    found = {name: row(other.id) for name, other in others.items()}
    assert timedelta(seconds=50) < found["delay"].due_at - now <= timedelta(seconds=60)
    assert abs(found["eta"].due_at - eta) < timedelta(milliseconds=1)
    assert timedelta(seconds=50) < found["expires_in"].expires_at - now <= timedelta(seconds=60)
    assert abs(found["expires_at"].expires_at - eta) < timedelta(milliseconds=1)
    assert found["expires_in"].due_at <= now


def errback(**given: Any) -> dict[str, Any]:
    return {"task": "tests.errback", "args": "[5]", **given}


def test_errback_is_sent_with_what_has_failed(vendor: Vendor) -> None:
    """CANV-3: not for a retry, and once however often the message was delivered."""
    failing = new(options=json.dumps({"link_error": [errback(queue="other")]}))
    enqueue_workflow([failing], [])
    end_next(vendor, Retry(error("again")))
    end_next(vendor, FAILED)
    sent = reserve_one(vendor)
    told = json.loads(sent.options)["failed"]
    assert (sent.task, sent.args, sent.queue) == ("tests.errback", "[5]", "other")
    assert (told["id"], told["task"], told["args"], told["retries"]) == (failing.id, "tests.add", "[1,2]", 1)
    assert told["error"]["message"] == "broken"


def test_errback_of_a_whole_chain_is_sent_once(vendor: Vendor) -> None:
    """CANV-4: with the id of the step that failed."""
    options = json.dumps({"link_error": [errback()]})
    messages = [member(options=options), waiting(feeds=FEEDS, options=options), waiting(inputs=LIST, options=options)]
    first, second, third = (message.id for message in messages)
    enqueue_workflow(messages, [Edge(second, first, 0), Edge(third, second, 0)])
    end_next(vendor, FAILED)
    assert json.loads(reserve_one(vendor).options)["failed"]["id"] == first


def test_errback_of_a_body_is_sent_when_its_header_fails(vendor: Vendor) -> None:
    """CANV-8."""
    header, body = chord(2, options=json.dumps({"link_error": [errback()]}))
    assert end(vendor, by_id(vendor)[header[0]], FAILED)
    (sent,) = reserve(vendor)
    told = json.loads(sent.options)["failed"]
    assert told["id"] == body and told["error"]["type"] == "djtasks.exceptions.ChordError"


def test_nobody_calls_the_errbacks_of_what_was_revoked(vendor: Vendor) -> None:
    """CANV-3."""
    first, *_ = chain(last={"options": json.dumps({"link_error": [errback()]})})
    assert revoke(UUID(first)) == "revoked"
    assert not Message.objects.exists()


SPOILT_ERRBACKS = [
    '{"link_error":7}',
    '{"link_error":[{"no":1}]}',
    '["link_error"',
    '"link_error"',
    json.dumps({"link_error": [{"task": "tests.errback", "options": "7"}]}),
]


@pytest.mark.parametrize("spoilt", SPOILT_ERRBACKS)
def test_spoilt_errbacks_harm_nobody(vendor: Vendor, spoilt: str) -> None:
    """E9: the end of their message is recorded all the same."""
    failing = new()
    enqueue_workflow([failing], [])
    message = reserve_one(vendor)._replace(options=spoilt)
    assert end(vendor, message, FAILED)
    assert kept(failing.id).state == "FAILURE" and not Message.objects.exists()


@pytest.mark.postgres
@pytest.mark.parametrize("spoilt", [{"queue": "q" * 300}, {"priority": "high"}, {"due_at": "soon"}, {"args": "\0"}])
def test_errbacks_that_the_database_refuses_harm_nobody(vendor: Vendor, spoilt: dict[str, Any]) -> None:
    """E9: not even in the transaction in which the end of their message is recorded."""
    failing = new()
    enqueue_workflow([failing], [])
    message = reserve_one(vendor)._replace(options=json.dumps({"link_error": [errback(**spoilt)]}))
    assert end(vendor, message, FAILED)
    assert kept(failing.id).state == "FAILURE" and not Message.objects.exists()


@pytest.mark.parametrize("given", [{"delay": "soon"}, {"lifetime": "long"}, {"delay": 1e300}, {"feeds": "many"}])
def test_spoilt_time_of_a_step_harms_nobody(vendor: Vendor, given: dict[str, Any]) -> None:
    """E9: SQLite alone takes such values."""
    if vendor.connection.vendor != "sqlite" or type(vendor).__name__ != "SqliteVendor":
        pytest.skip("its columns have types")
    first, second, _ = chain()
    with connection.cursor() as cursor:
        for name, value in given.items():
            cursor.execute(f"UPDATE djtasks_message SET {name} = %s WHERE id = %s", [value, UUID(second).hex])  # noqa: S608
    end_next(vendor, Success("1"))
    assert kept(first).state == "SUCCESS"
    if "feeds" in given:
        assert end(vendor, reserve_one(vendor), FAILED) and kept(second).state == "FAILURE"


def test_replaced_message_waits_for_what_replaces_it(vendor: Vendor) -> None:
    """CANV-12: and those who wait for it wait for that."""
    host, after = chain(length=2)
    first = member(task="tests.first")
    last = new(id=host, task="tests.last", args="[9]", blocked=True, inputs=VALUE)
    outcome = Replaced([list(last), list(first)], [list(Edge(host, first.id, 0))])
    end_next(vendor, Retry(error("again")))
    end_next(vendor, outcome)
    assert end_next(vendor, Success('"first"')).task == "tests.first"
    replaced = end_next(vendor, Success('"last"'))
    assert (replaced.id, replaced.task, replaced.handed, replaced.retries) == (host, "tests.last", '["first"]', 0)
    assert reserve_one(vendor).handed == '["last"]' and lives(after)


def test_stale_holder_replaces_nothing(vendor: Vendor) -> None:
    """G4."""
    chain(length=2)
    stale = reserve_one(vendor)
    let_leases_lapse()
    reserve_one(vendor)
    assert not end(vendor, stale, Replaced([list(new(id=stale.id, task="tests.other"))], []))
    assert row(stale.id).task == "tests.add" and Message.objects.count() == 2


def test_purge_takes_the_edges_that_were_kept(vendor: Vendor) -> None:
    """They are there for as long as the workflow could be taken up again."""
    first, *_ = chain()
    message = reserve_one(vendor)
    settlement = Settlement(message.token, FAILED, message=message)
    assert settle(vendor, [settlement], retention=-1.0).settled == {Token(first, 1)}
    assert Dependency.objects.count() == 2
    assert vendor.purge_results(10) == 3
    assert not Dependency.objects.exists()


def test_all_of_a_workflow_is_inserted_or_nothing(vendor: Vendor) -> None:
    """CALL-9."""
    (taken, *_) = chain()
    first, last = member(), waiting(id=taken)
    with pytest.raises(AlreadyEnqueued):
        enqueue_workflow([first, last], [Edge(last.id, first.id, 0)])
    assert not lives(first.id) and Dependency.objects.count() == 2


def test_rows_grow_with_the_members(vendor: Vendor) -> None:
    """As many edges as members."""
    _, body = chord(300)
    assert Message.objects.count() == 301 and Dependency.objects.count() == 300
    assert end(vendor, reserve(vendor, 1)[0], FAILED) and kept(body).state == "FAILURE"
