"""To settle is to delete the row, or to put it back, if it is still its holder's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, nullcontext

import pytest
from django.db import DatabaseError

from djtasks.broker.settle import settle
from djtasks.broker.vendors import Exchange, Vendor, private_vendor, vendor_for
from djtasks.broker.vendors.base import RESULTS_CHANNEL
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Supply, Token
from djtasks.domain.outcomes import (
    Failure,
    Ignored,
    Outcome,
    Rejected,
    Released,
    Retry,
    Revoked,
    Settlement,
    Success,
)
from djtasks.models import Message, Result
from tests.broker.sentences import (
    DONE,
    LEASE,
    OTHER_WORKER,
    WORKER,
    begun,
    demand,
    error,
    exchange,
    facts,
    held,
    let_come_due,
    let_leases_lapse,
    lives,
    reserve,
    reserve_one,
    result,
    row,
    send,
    settled,
)

# Endings

ENDINGS: list[tuple[Outcome, str | None, object]] = [
    (Success('{"a":[1,"ü"]}'), "SUCCESS", {"a": [1, "ü"]}),
    (Success(None), "SUCCESS", None),
    (Success("1", keep=False), None, None),
    (Failure(error("no")), "FAILURE", None),
    (Failure(error("no"), keep=False), None, None),
    (Revoked(error("no")), "REVOKED", None),
    (Rejected(error("no")), "FAILURE", None),
    (Ignored(), None, None),
]


@pytest.mark.parametrize(("outcome", "state", "value"), ENDINGS)
def test_ending_deletes_the_message_and_keeps_a_result_if_wanted(
    vendor: Vendor, outcome: Outcome, state: str | None, value: object
) -> None:
    message = held(vendor)
    assert settled(vendor, message.token, outcome)
    assert not lives(message.id)
    kept = result(message.id)
    assert (kept and kept.state) == state
    if kept:
        assert kept.value == value
        assert [line["message"] for line in kept.errors] == (["no"] if state != "SUCCESS" else [])


def test_result_carries_everything(vendor: Vendor) -> None:
    ids = {name: str(uuid7()) for name in ("group", "root", "parent")}
    (message_id,) = send(vendor, kwargs='{"x":1}', queue="mail", priority=9, options='{"shadow":"x"}', **ids)
    message = reserve_one(vendor)
    assert settled(vendor, message.token, Retry(error("first"), due_at=1_600_000_000.25))
    message = reserve_one(vendor, worker=OTHER_WORKER)
    let_leases_lapse()
    message = reserve_one(vendor, worker=OTHER_WORKER)
    before = facts(message_id)
    started_at = message.reserved_at + 0.001
    outcome = Settlement(message.token, Failure(error("last")), started_at)
    exchange(vendor, [outcome], retention=3600.0)
    kept = Result.objects.values().get()
    for name in ("id", "task", "args", "kwargs", "queue", "priority", "options", "group", "root", "parent"):
        assert kept[name] == before[name], name
    for name in ("retries", "deliveries", "losses", "worker", "enqueued_at", "due_at"):
        assert kept[name] == before[name], name
    assert (kept["retries"], kept["deliveries"], kept["losses"], str(kept["worker"])) == (1, 3, 1, OTHER_WORKER)
    assert [line["message"] for line in kept["errors"]][::2] == ["first", "last"] and len(kept["errors"]) == 3
    assert (kept["state"], kept["value"], kept["hostname"]) == ("FAILURE", None, "host")
    assert kept["started_at"].timestamp() == pytest.approx(started_at, abs=1e-5)
    assert (kept["expires_at"] - kept["finished_at"]).total_seconds() == pytest.approx(3600, abs=0.001)
    assert before["enqueued_at"] < kept["finished_at"] <= vendor.now()


def test_result_without_retention_is_kept_for_ever(vendor: Vendor) -> None:
    message = held(vendor)
    assert settled(vendor, message.token)
    assert result(message.id).expires_at is None


def test_begin_that_was_noted_stands_where_the_settlement_says_nothing(vendor: Vendor) -> None:
    message = held(vendor)
    assert begun(vendor, message.token)
    started_at = row(message.id).started_at
    assert settled(vendor, message.token)
    assert result(message.id).started_at == started_at is not None


def test_result_of_a_known_id_is_overwritten(vendor: Vendor) -> None:
    first = held(vendor, args='["old"]')
    assert settled(vendor, first.token, Failure(error("old")), retention=60.0)
    second = held(vendor, id=first.id, args='["new"]', queue="new")
    assert settled(vendor, second.token, Success('"new"'))
    (kept,) = Result.objects.all()
    assert (kept.state, kept.value, kept.args, kept.queue, kept.errors) == ("SUCCESS", "new", ["new"], "new", [])
    assert kept.expires_at is None and kept.deliveries == 1


@pytest.mark.parametrize("joins", [False, True], ids=["alone", "in a transaction"])
def test_known_id_costs_others_nothing_in_a_batch(vendor: Vendor, joins: bool) -> None:
    known = held(vendor)
    assert settled(vendor, known.token, Success('"old"'))
    others = [held(vendor) for _ in range(3)]
    again = held(vendor, id=known.id)
    (waiting,) = send(vendor)
    settlements = [Settlement(message.token, Success('"new"')) for message in (*others, again)]
    settlements[1] = settlements[1]._replace(outcome=Failure(error("no")))
    with vendor.bound(), vendor.atomic() if joins else nullcontext():
        assert vendor.joins is joins
        done = exchange(vendor, settlements, [], demand())
    assert done.settled == {settlement.token for settlement in settlements}
    assert [message.id for message in done.supply.reservations] == [waiting]
    assert [result(message.id).value for message in (*others, again)] == ["new", None, "new", "new"]
    assert Result.objects.count() == 4


def test_large_payloads_arrive_whole(vendor: Vendor) -> None:
    text = json.dumps(["x" * 300_000, '\\"ü\n'])
    message = held(vendor, args=text)
    assert json.loads(message.args) == json.loads(text)
    assert settled(vendor, message.token, Success(text))
    assert result(message.id).value == result(message.id).args == json.loads(text)


@pytest.mark.postgres
def test_end_is_announced_to_those_who_wait(private: Vendor) -> None:
    awaited, other, revoked = held(private), held(private), held(private, acks_late=False)
    for message in (awaited, revoked):
        private.await_results([message.id])
    private.await_results([str(uuid7())])  # gone already: no error
    with closing(private_vendor().connection) as waiter, vendor_for(waiter).listen(RESULTS_CHANNEL) as listener:
        exchange(private, [Settlement(awaited.token, DONE), Settlement(other.token, DONE)])
        assert [heard.payload for heard in listener.wait(5.0)] == [awaited.id]
        private.revoke(row(revoked.id).pk, error("revoked"), hostname="", retention=None)
        assert [heard.payload for heard in listener.wait(5.0)] == [revoked.id]
        assert list(listener.wait(0.0)) == []


# Put back


def test_retry_keeps_id_and_queue_and_comes_due_later(vendor: Vendor) -> None:
    message = held(vendor, queue="mail", priority=3, args="[1]", kwargs='{"a":1}')
    assert begun(vendor, message.token, late=True)
    assert settled(vendor, message.token, Retry(error("again"), delay=3600.0))
    after = row(message.id)
    assert (after.queue, after.priority, after.args, after.kwargs) == ("mail", 3, [1], {"a": 1})
    assert (after.retries, after.deliveries, after.losses) == (1, 1, 0)
    assert (after.leased_until, after.started_at) == (None, None)
    assert (after.due_at - vendor.now()).total_seconds() == pytest.approx(3600, abs=5)
    assert [line["message"] for line in after.errors] == ["again"]
    assert reserve(vendor) == [] and result(message.id) is None
    let_come_due(message.id)
    again = reserve_one(vendor)
    assert (again.token, again.retries, again.begun_before) == ((message.id, 2), 1, False)


def test_retry_changes_what_it_is_asked_to(vendor: Vendor) -> None:
    message = held(vendor)
    changes = Retry("", due_at=1_700_000_000.5, args='["a\\"b"]', kwargs='{"x":null}', queue="slow", priority=-5)
    assert settled(vendor, message.token, changes)
    again = reserve_one(vendor, queues=("slow",))
    assert (json.loads(again.args), json.loads(again.kwargs), again.priority) == (['a"b'], {"x": None}, -5)
    assert again.due_at == pytest.approx(1_700_000_000.5, abs=1e-6)
    assert row(message.id).errors == []


def test_state_of_a_tasks_own_does_not_outlive_its_attempt(vendor: Vendor) -> None:
    message = held(vendor)
    Message.objects.update(state="HALFWAY", meta={"done": 50})
    assert settled(vendor, message.token, Retry("", delay=60.0))
    assert (row(message.id).state, row(message.id).meta) == ("", None)


@pytest.mark.parametrize(("loss", "losses"), [(False, 0), (True, 1)])
def test_released_message_goes_back_and_is_charged_a_loss_if_its_holder_died(
    vendor: Vendor, loss: bool, losses: int
) -> None:
    message = held(vendor)
    due_at = row(message.id).due_at
    assert begun(vendor, message.token, late=True)
    assert settled(vendor, message.token, Released(error=error("gone") if loss else "", loss=loss))
    after = row(message.id)
    assert (after.losses, after.retries, len(after.errors)) == (losses, 0, losses)
    assert (after.due_at, after.leased_until, after.started_at) == (due_at, None, None)
    again = reserve_one(vendor)
    assert (again.losses, again.begun_before, again.deliveries) == (losses, False, 2)


def test_released_message_waits_if_told_to(vendor: Vendor) -> None:
    message = held(vendor)
    assert settled(vendor, message.token, Released(delay=3600.0))
    assert reserve(vendor) == []
    assert (row(message.id).due_at - vendor.now()).total_seconds() == pytest.approx(3600, abs=5)


def test_rejected_message_is_requeued_on_request(vendor: Vendor) -> None:
    message = held(vendor)
    assert settled(vendor, message.token, Rejected(error("not here"), requeue=True))
    assert [line["message"] for line in row(message.id).errors] == ["not here"]
    assert reserve_one(vendor).token == (message.id, 2)


# The fence

WRITES: dict[str, Callable[[Vendor, Token], bool]] = {
    "end": lambda vendor, token: settled(vendor, token),
    "end without result": lambda vendor, token: settled(vendor, token, Ignored()),
    "retry": lambda vendor, token: settled(vendor, token, Retry(error("stale"))),
    "release": lambda vendor, token: settled(vendor, token, Released(loss=True)),
    "begin": lambda vendor, token: begun(vendor, token),
    "renew": lambda vendor, token: token in vendor.renew([token], LEASE),
}


@pytest.mark.parametrize("write", WRITES)
def test_stale_token_writes_nothing(vendor: Vendor, write: str) -> None:
    stale = held(vendor).token
    let_leases_lapse()
    current = reserve_one(vendor, worker=OTHER_WORKER)
    before = facts(stale.id)
    assert not WRITES[write](vendor, stale)
    assert facts(stale.id) == before and result(stale.id) is None
    assert settled(vendor, current.token)


@pytest.mark.parametrize("write", WRITES)
def test_token_of_what_was_put_back_writes_nothing(vendor: Vendor, write: str) -> None:
    token = held(vendor).token
    assert settled(vendor, token, Released())
    before = facts(token.id)
    assert not WRITES[write](vendor, token)
    assert facts(token.id) == before and result(token.id) is None


@pytest.mark.parametrize("write", WRITES)
def test_token_of_what_has_ended_writes_nothing(vendor: Vendor, write: str) -> None:
    token = held(vendor).token
    assert settled(vendor, token, Success('"first"'))
    assert not WRITES[write](vendor, token)
    assert result(token.id).value == "first" and not lives(token.id)


@pytest.mark.parametrize("write", WRITES)
def test_lapsed_lease_is_its_holders_until_someone_takes_it(vendor: Vendor, write: str) -> None:
    token = held(vendor).token
    let_leases_lapse()
    assert WRITES[write](vendor, token)


def test_two_deliveries_of_one_message_in_one_batch_are_told_apart(vendor: Vendor) -> None:
    """B9"""
    for stale_outcome, outcome in ((DONE, Released()), (Released(), DONE), (DONE, DONE), (Released(), Released())):
        stale = held(vendor).token
        let_leases_lapse(stale.id)
        current = reserve_one(vendor).token
        done = exchange(vendor, [Settlement(stale, stale_outcome), Settlement(current, outcome)])
        assert done.settled == {current}
        assert lives(stale.id) is isinstance(outcome, Released)
        if isinstance(outcome, Released):
            assert settled(vendor, reserve_one(vendor).token)


# Beginning


def test_begin_is_noted_with_how_the_message_is_acknowledged(vendor: Vendor) -> None:
    early, late = held(vendor), held(vendor)
    tokens = [(late.token, True), (early.token, False)]
    assert exchange(vendor, begin=tokens).begun == {early.token, late.token}
    assert [row(message.id).acks_late for message in (early, late)] == [False, True]
    assert all(row(message.id).started_at <= vendor.now() for message in (early, late))


def test_revoked_message_does_not_begin(vendor: Vendor) -> None:
    message = held(vendor, acks_late=True)
    assert vendor.revoke(row(message.id).pk, error("revoked"), hostname="", retention=None) == "requested"
    assert not begun(vendor, message.token)
    assert row(message.id).started_at is None


# Exchanges


def test_exchange_settles_begins_and_reserves_at_once(vendor: Vendor) -> None:
    ended, retried, beginning = held(vendor), held(vendor), held(vendor)
    sent = send(vendor, 2)
    settlements = [Settlement(ended.token, DONE), Settlement(retried.token, Retry("", delay=60.0))]
    done = exchange(vendor, settlements, [(beginning.token, False)], demand())
    assert done.settled == {ended.token, retried.token}
    assert done.begun == {beginning.token}
    assert [message.id for message in done.supply.reservations] == sent


def test_empty_exchange_does_nothing(vendor: Vendor) -> None:
    assert exchange(vendor) == Exchange(set(), set(), Supply([]))


REFUSED = "\ud800"


def test_exchange_that_fails_leaves_everything_as_it_was(vendor: Vendor) -> None:
    messages = [held(vendor) for _ in range(3)]
    (waiting,) = send(vendor)
    before = [facts(message.id) for message in messages]
    settlements = [
        Settlement(messages[0].token, DONE),
        Settlement(messages[1].token, Retry(REFUSED)),
    ]
    with pytest.raises(DatabaseError) as caught:
        exchange(vendor, settlements, [(messages[2].token, True)], demand())
    assert vendor.is_refusal(caught.value) and not vendor.is_transient(caught.value)
    assert [facts(message.id) for message in messages] == before
    assert not Result.objects.exists() and row(waiting).deliveries == 0
    assert settled(vendor, messages[0].token)


BAD_TEXTS = [pytest.param("\ud800", id="surrogate"), pytest.param("a\0b", id="NUL", marks=pytest.mark.postgres)]


@pytest.mark.parametrize("text", BAD_TEXTS)
@pytest.mark.parametrize("kind", ["value", "error", "retry"])
def test_outcome_that_the_database_refuses_becomes_a_failure_and_the_others_are_settled(
    vendor: Vendor, text: str, kind: str
) -> None:
    """E1"""
    outcome = {"value": Success(f'"{text}"'), "error": Failure(text), "retry": Retry(text, args=f'["{text}"]')}[kind]
    messages = [held(vendor) for _ in range(5)]
    settlements = [Settlement(message.token, DONE) for message in messages]
    settlements[2] = settlements[2]._replace(outcome=outcome)
    settlements[4] = settlements[4]._replace(outcome=Retry(error("again"), delay=60.0))
    (waiting,) = send(vendor)
    done = settle(vendor, settlements, [], demand(), hostname="host")
    assert done.settled == {message.token for message in messages}
    assert [message.id for message in done.supply.reservations] == [waiting]
    assert [result(message.id).state for message in messages[:4]] == ["SUCCESS", "SUCCESS", "FAILURE", "SUCCESS"]
    refusal = result(messages[2].id).errors[-1]
    assert refusal["type"] == "djtasks.exceptions.EncodeError" and "could not be stored" in refusal["message"]
    assert row(messages[4].id).retries == 1


@pytest.mark.postgres
def test_refused_outcome_harms_no_transaction_that_is_open(vendor: Vendor) -> None:
    """E1"""
    messages = [held(vendor) for _ in range(2)]
    outcomes = [Retry(error("again"), queue="long" * 100), DONE]
    settlements = [Settlement(message.token, outcome) for message, outcome in zip(messages, outcomes, strict=True)]
    with vendor.bound(), vendor.atomic():
        before = send(vendor)
        settle(vendor, settlements, hostname="host")
        (after,) = send(vendor)
    assert [result(message.id).state for message in messages] == ["FAILURE", "SUCCESS"]
    assert {str(pk) for pk in Message.objects.values_list("pk", flat=True)} == {*before, after}


def test_worker_is_named_by_its_lease(vendor: Vendor) -> None:
    message = held(vendor)
    assert settled(vendor, message.token)
    assert str(result(message.id).worker) == WORKER
