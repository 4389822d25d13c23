"""Revoking many messages at once, and purging (WORK-9, CANV-14)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Value

from djtasks import AsyncResult, control
from djtasks.domain.identifiers import uuid7
from djtasks.models import Message
from djtasks.tasks import revoking
from djtasks.testing.inline import InlineWorker
from tests.tasks import add, note

pytestmark = pytest.mark.django_db(transaction=True)


def stamped(**stamps: Any) -> AsyncResult:
    """Send a message that bears these stamps."""
    return add.apply_async((1, 2), stamped_headers=list(stamps), **stamps)


def optional(options: Any) -> AsyncResult:
    """Send a message, and let its row have these options."""
    handle = add.delay(1, 2)
    Message.objects.filter(pk=handle.id).update(options=options)
    return handle


def states(*handles: AsyncResult) -> list[str]:
    return [AsyncResult(handle.id).state for handle in handles]


def test_one_and_several() -> None:
    """WORK-9: ids, their UUIDs, and handles."""
    first, second, third = add.delay(1, 2), add.delay(1, 2), add.delay(1, 2)
    assert control.revoke(first.id) == "revoked"
    assert control.revoke([first.id, second]) == {first.id: "too_late", second.id: "revoked"}
    assert control.terminate(third.id, signal="KILL") == "revoked"
    assert states(first, second, third) == ["REVOKED"] * 3


def test_wrong_id_and_wrong_signal_are_errors() -> None:
    with pytest.raises(ValueError, match="a task id is a UUID, not 'x'"):
        control.revoke("x")
    with pytest.raises(ValueError, match="'SIGNOTHING' is no signal"):
        control.revoke(str(uuid7()), terminate=True, signal="SIGNOTHING")


def test_all_of_a_task_or_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page."""
    monkeypatch.setattr(revoking, "PAGE", 2)
    adds = [add.apply_async((1, 2), queue="mail", countdown=number) for number in range(5)]
    other, elsewhere = note.apply_async(("d", "w"), queue="mail"), add.delay(1, 2)
    assert control.revoke_all(task=add.name, queue="mail") == {"revoked": 5, "requested": 0, "too_late": 0}
    assert states(*adds) == ["REVOKED"] * 5 and states(other, elsewhere) == ["PENDING"] * 2
    assert control.revoke_all(queue="mail")["revoked"] == 1
    assert control.revoke_all(queue="mail")["revoked"] == 0


def test_what_runs_is_only_asked() -> None:
    running, waiting = add.delay(1, 2), add.delay(1, 2)
    [message] = InlineWorker().reserve()
    assert message.id == running.id
    assert control.revoke_all(task=add.name, terminate=True) == {"revoked": 1, "requested": 1, "too_late": 0}
    row = Message.objects.get()
    assert (str(row.pk), row.terminate) == (running.id, "SIGTERM") and states(waiting) == ["REVOKED"]


def test_all_that_bear_a_tag() -> None:
    mine, other = (add.apply_async((1, 2), tags=tags) for tags in (["nightly", "slow"], ["slow"]))
    assert control.revoke_all(tag="nightly")["revoked"] == 1
    assert states(mine, other) == ["REVOKED", "PENDING"]


@pytest.mark.parametrize("asked", ["a", ["a", "z"], ("z", "a")])
@pytest.mark.parametrize("given", ["a", ["b", "a"]])
def test_all_that_bear_a_stamp(asked: Any, given: Any) -> None:
    """CANV-14: a value that is asked for is among those of the stamp."""
    mine, other = stamped(customer=given), stamped(customer="c")
    unstamped = add.apply_async((1, 2), headers={"customer": "a"})
    assert control.revoke_by_stamped_headers({"customer": asked})["revoked"] == 1
    assert states(mine, other, unstamped) == ["REVOKED", "PENDING", "PENDING"]


@pytest.mark.parametrize("options", [[], "x", {"tags": 7, "stamped_headers": 7, "headers": 7}, {"stamped_headers": {}}])
def test_spoilt_options_match_nothing(options: Any) -> None:
    spoilt = optional(options)
    assert control.revoke_all(tag="nightly", stamps={"customer": "a"})["revoked"] == 0
    assert states(spoilt) == ["PENDING"]


def test_unreadable_options_match_nothing() -> None:
    handle = add.delay(1, 2)
    Message.objects.filter(pk=handle.id).update(options=Value("{"))
    assert control.revoke_all(tag="nightly")["revoked"] == 0


def test_all_of_nothing_in_particular_is_refused() -> None:
    waiting = add.delay(1, 2)
    for given in ({}, {"task": ""}, {"stamps": {}}):
        with pytest.raises(TypeError, match="say which messages to revoke"):
            control.revoke_all(**given)
    with pytest.raises(TypeError, match="stamps is a dict"):
        control.revoke_all(stamps=["customer"])
    assert states(waiting) == ["PENDING"]


def test_queues_are_purged() -> None:
    mail, audio, more = (add.apply_async((1, 2), queue=queue) for queue in ("mail", "audio", "more"))
    assert control.purge("mail") == 1 and control.purge([]) == 0
    assert states(mail, audio) == ["PENDING"] * 2 and not mail.exists() and audio.exists()
    assert control.discard_all() == 2 and not more.exists()
    with pytest.raises(ValueError, match="is no name for a queue"):
        control.purge(["a b"])


def test_what_is_sent_meanwhile_is_left_alone() -> None:
    """Else it would never come to an end under a busy sender."""
    add.delay(1, 2)
    sent: list[AsyncResult] = []

    def revoke_and_send(message_id: object) -> Any:
        assert len(sent) < 5
        sent.append(add.delay(1, 2))
        return "revoked"

    assert revoking.revoke_matching(revoke_and_send, task=add.name)["revoked"] == 1
