"""What is told of ends that no body lived to tell, once they are recorded: MON-2, TASK-2, CALL-8, WORK-3."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import signals
from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Failure, Outcome
from djtasks.exceptions import DecodeError, NotRegistered, TimeLimitExceeded, WorkerLostError
from djtasks.tasks.errors import describe
from djtasks.worker.aftermath import Aftermath
from djtasks.worker.execution import Holder, request_for, revoked
from tests.helpers import reservation
from tests.tasks import add

HOLDER = Holder("00000000-0000-0000-0000-000000000001", "djtasks@test")
NAMES = ("task_failure", "task_rejected", "task_unknown", "task_internal_error", "task_revoked")


def told(message: Reservation, outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """Return the one signal that is sent, and its facts."""
    heard: list[tuple[str, dict[str, Any]]] = []
    receivers = {}
    for name in NAMES:

        def receive(signal: Any, its_name: str = name, **facts: Any) -> None:
            heard.append((its_name, facts))

        receivers[name] = receive
        getattr(signals, name).connect(receive)
    aftermath = Aftermath(HOLDER)
    aftermath.tell(message, outcome)
    aftermath.close()
    for name, receive in receivers.items():
        getattr(signals, name).disconnect(receive)
    (only,) = heard
    return only


def failure(message: Reservation, error: Exception) -> Failure:
    return Failure(describe(error, "failure", request_for(message, HOLDER)))


@pytest.mark.parametrize("error", [WorkerLostError("gone"), TimeLimitExceeded("too long")], ids=repr)
def test_lost_and_ended_runs_have_failed(error: Exception) -> None:
    """WORK-3, MON-2."""
    message = reservation(add, 1, 2)
    name, facts = told(message, failure(message, error))
    assert (name, facts["sender"], facts["task_id"]) == ("task_failure", add, message.id)
    assert type(facts["exception"]) is type(error) and (facts["args"], facts["kwargs"]) == ((1, 2), {})
    assert {"traceback", "einfo"} <= facts.keys()


def test_message_that_cannot_be_read_is_rejected() -> None:
    """MON-2."""
    message = reservation(add)._replace(args="{")
    name, facts = told(message, failure(message, DecodeError("no list")))
    assert (name, facts["sender"], facts["message"].id) == ("task_rejected", add, message.id)
    assert isinstance(facts["exc"], DecodeError)


def test_message_that_nobody_knows_is_unknown() -> None:
    """MON-2, CALL-8."""
    message = reservation("tests.tasks.nobody", 1)
    name, facts = told(message, failure(message, NotRegistered("nobody knew it")))
    assert (name, facts["name"], facts["id"], facts["message"].id) == (
        "task_unknown",
        "tests.tasks.nobody",
        message.id,
        message.id,
    )
    assert isinstance(facts["exc"], NotRegistered)


def test_error_outside_the_body_is_an_internal_one() -> None:
    """TASK-2, MON-2."""
    message = reservation(add, 1, 2)
    name, facts = told(message, failure(message, TypeError("priority is no number")))
    assert (name, facts["sender"], facts["task_id"]) == ("task_internal_error", add, message.id)
    assert (facts["args"], facts["request"].id) == ((1, 2), message.id)
    assert isinstance(facts["exception"], TypeError) and "priority" in facts["einfo"]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("revoked", (False, None, False)),
        ("expired", (False, None, True)),
        ("terminated by SIGTERM", (True, "SIGTERM", False)),
    ],
)
def test_revocation_tells_how(reason: str, expected: tuple[bool, str | None, bool]) -> None:
    """MON-2, CALL-4, WORK-9."""
    message = reservation(add, 1, 2)
    name, facts = told(message, revoked(request_for(message, HOLDER), reason))
    assert name == "task_revoked" and facts["request"].args == (1, 2)
    assert (facts["terminated"], facts["signum"], facts["expired"]) == expected
