"""To revoke is one conditional write, whose answer is true."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import transaction

from djtasks.broker.revoke import revoke, revoked
from djtasks.broker.vendors import Vendor
from djtasks.broker.vendors.base import CONTROL_CHANNEL, MESSAGES_CHANNEL
from djtasks.broker.vendors.portable import PortableVendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Released, Retry
from tests.broker.conftest import Connect
from tests.broker.sentences import (
    begun,
    error,
    facts,
    held,
    let_leases_lapse,
    lives,
    reserve,
    reserve_one,
    result,
    row,
    send,
    settled,
)

GIVEN_BACK = Retry(error("again"))


def waiting(vendor: Vendor) -> str:
    return send(vendor)[0]


def delayed(vendor: Vendor) -> str:
    return send(vendor, delay=60.0)[0]


def retrying(vendor: Vendor) -> str:
    message = held(vendor)
    assert settled(vendor, message.token, GIVEN_BACK._replace(delay=60.0))
    return message.id


def reserved_early(vendor: Vendor) -> str:
    return held(vendor, acks_late=False).id


def lapsed_early(vendor: Vendor) -> str:
    message = held(vendor, acks_late=False)
    let_leases_lapse(message.id)
    return message.id


def running_early(vendor: Vendor) -> str:
    message = held(vendor, acks_late=False)
    assert begun(vendor, message.token)
    return message.id


def begun_with_its_reservation(vendor: Vendor) -> str:
    send(vendor, acks_late=False)
    return reserve_one(vendor, begin=True).id


def reserved_late(vendor: Vendor) -> str:
    return held(vendor, acks_late=True).id


def reserved_by_who_knows_its_task(vendor: Vendor) -> str:
    return held(vendor).id


def lapsed_late(vendor: Vendor) -> str:
    message = held(vendor, acks_late=True)
    let_leases_lapse(message.id)
    return message.id


def ended(vendor: Vendor) -> str:
    message = held(vendor)
    assert settled(vendor, message.token)
    return message.id


def never_there(vendor: Vendor) -> str:
    return str(uuid7())


ANSWERS: list[tuple[Callable[[Vendor], str], str | None]] = [
    (waiting, "revoked"),
    (delayed, "revoked"),
    (retrying, "revoked"),
    (reserved_early, "revoked"),
    (lapsed_early, "revoked"),
    (running_early, "requested"),
    (begun_with_its_reservation, "requested"),
    (reserved_late, "requested"),
    (reserved_by_who_knows_its_task, "requested"),
    (lapsed_late, "requested"),
    (ended, None),
    (never_there, None),
]


@pytest.mark.parametrize(("state", "answer"), ANSWERS)
def test_answer_is_true_in_every_state(vendor: Vendor, state: Callable[[Vendor], str], answer: str | None) -> None:
    message_id = state(vendor)
    kept_before = result(message_id)
    assert vendor.revoke(UUID(message_id), error("stop"), hostname="desk", retention=60.0) == answer
    if answer == "revoked":
        assert not lives(message_id)
        kept = result(message_id)
        assert (kept.state, kept.hostname, kept.value) == ("REVOKED", "desk", None)
        assert kept.errors[-1]["message"] == "stop" and kept.expires_at is not None
    elif answer == "requested":
        assert row(message_id).revoked_at is not None and result(message_id) is None
    else:
        assert result(message_id) == kept_before and not lives(message_id)


def test_body_of_a_revoked_message_never_begins(vendor: Vendor) -> None:
    """G6"""
    message = held(vendor, acks_late=False)
    assert vendor.revoke(UUID(message.id), error("stop"), hostname="", retention=None) == "revoked"
    assert not begun(vendor, message.token)
    assert not settled(vendor, message.token)
    assert reserve(vendor) == [] and result(message.id).state == "REVOKED"


def test_history_of_a_revoked_message_is_kept(vendor: Vendor) -> None:
    message_id = retrying(vendor)
    vendor.revoke(UUID(message_id), error("stop"), hostname="", retention=None)
    assert [line["message"] for line in result(message_id).errors] == ["again", "stop"]
    assert (result(message_id).retries, result(message_id).expires_at) == (1, None)


def test_second_request_changes_nothing(vendor: Vendor) -> None:
    """B11"""
    message_id = running_early(vendor)
    for _ in range(2):
        assert vendor.revoke(UUID(message_id), error("stop"), hostname="", retention=None) == "requested"
        first = facts(message_id)
    vendor.revoke(UUID(message_id), error("stop"), hostname="", retention=None)
    assert facts(message_id) == first


def test_next_holder_of_a_marked_message_hears_of_it(vendor: Vendor) -> None:
    message_id = lapsed_late(vendor)
    vendor.revoke(UUID(message_id), error("stop"), hostname="", retention=None)
    message = reserve_one(vendor, begin=True)
    assert message.id == message_id and message.revoked and message.started_at is None


def test_revocation_joins_its_callers_transaction(vendor: Vendor) -> None:
    (message_id,) = send(vendor)
    with transaction.atomic():
        assert revoke(UUID(message_id)) == "revoked"
        assert not lives(message_id)
        transaction.set_rollback(True)
    assert lives(message_id) and result(message_id) is None and row(message_id).revoked_at is None
    assert revoke(UUID(message_id)) == "revoked"
    assert json.loads(json.dumps(result(message_id).errors[-1]))["type"] == "djtasks.exceptions.TaskRevokedError"


def test_revocation_says_when_it_comes_too_late(vendor: Vendor) -> None:
    assert revoke(UUID(ended(vendor))) == "too_late"
    assert revoke(UUID(running_early(vendor))) == "requested"


def test_holders_hear_what_was_revoked_and_how_it_is_to_end(vendor: Vendor) -> None:
    """WORK-9"""
    told, ended, other, stale = (held(vendor, acks_late=True).token for _ in range(4))
    stop(vendor, told), stop(vendor, ended, terminate="SIGTERM"), stop(vendor, stale)
    tokens = [told, ended, other, stale._replace(deliveries=7)]
    assert vendor.revoked(tokens) == {told: "", ended: "SIGTERM"}
    stop(vendor, ended), stop(vendor, told, terminate="SIGKILL")
    assert vendor.revoked(tokens) == {told: "SIGKILL", ended: "SIGTERM"}
    assert revoked(vendor, []) == {}


def stop(vendor: Vendor, token: Token, **given: str) -> None:
    assert vendor.revoke(UUID(token.id), error("stop"), hostname="", retention=None, **given) == "requested"


@pytest.mark.parametrize("outcome", [GIVEN_BACK._replace(delay=60.0), Released(delay=60.0)])
def test_revoked_message_that_comes_back_is_received_at_once(vendor: Vendor, outcome: Retry | Released) -> None:
    """WORK-9: it waits for no countdown before it ends."""
    message = held(vendor, acks_late=True)
    stop(vendor, message.token)
    assert settled(vendor, message.token, outcome)
    assert reserve_one(vendor).revoked


@pytest.mark.postgres
def test_holder_of_a_begun_message_is_woken(connect: Connect) -> None:
    """WORK-9"""
    listening, caller = connect(), connect()
    if isinstance(listening, PortableVendor) or not listening.announces:
        return
    with listening.listen(CONTROL_CHANNEL, MESSAGES_CHANNEL) as listener:
        waits, runs = held(caller, acks_late=True), held(caller, acks_late=True)
        assert begun(caller, runs.token, late=True)
        stop(caller, waits.token)
        assert not [heard for heard in listener.wait(0.05) if heard.channel == CONTROL_CHANNEL]
        stop(caller, runs.token)
        assert [heard.channel for heard in listener.wait(10)] == [CONTROL_CHANNEL]
