"""What a worker decides about a message that it has received or lost: ACK-1, ACK-3, A4, E9, CALL-4, WORK-8."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Failure, Outcome, Released, Revoked
from djtasks.worker import judge
from djtasks.worker.execution import Holder
from tests.helpers import reservation
from tests.tasks import note, note_late

HOLDER = Holder("00000000-0000-0000-0000-000000000001", "judge")
DEAD = {"losses": 1, "started_at": 1.0, "begun_before": True}


def verdict(message: Reservation) -> Outcome | None:
    return judge.verdict(message, HOLDER)


def type_of(outcome: Outcome | None) -> str:
    assert isinstance(outcome, Failure | Revoked)
    return str(json.loads(outcome.error)["type"]).rpartition(".")[2]


@pytest.mark.parametrize(
    ("message", "runs"),
    [
        (reservation(note), True),
        (reservation(note_late), True),
        (reservation(note, losses=1), True),
        (reservation(note, **DEAD), False),
        (reservation(note_late, **DEAD), True),
        (reservation(note_late, **DEAD | {"losses": 2}), True),
        (reservation(note_late, **DEAD | {"losses": 3}), False),
        (reservation(note_late, losses=3), False),
        # What the row says counts, not what the task says today.
        (reservation(note, acks_late=True, **DEAD), True),
        (reservation(note_late, acks_late=False, **DEAD), False),
        (reservation(note_late, acks_late=None, **DEAD), True),
    ],
)
def test_what_may_run(message: Reservation, runs: bool) -> None:
    """ACK-1, A4: early ones that had begun never, late ones until they have lost too many workers."""
    outcome = verdict(message)
    assert outcome is None if runs else type_of(outcome) == "WorkerLostError"


def test_task_may_refuse_to_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """ACK-3: reject_on_worker_lost=False."""
    monkeypatch.setattr(note_late, "reject_on_worker_lost", False, raising=False)
    assert type_of(verdict(reservation(note_late, **DEAD))) == "WorkerLostError"
    assert type_of(judge.after_loss(reservation(note_late), "it died", HOLDER)) == "WorkerLostError"


@pytest.mark.parametrize(
    ("fields", "reason"), [({"revoked": True}, "revoked"), ({"expires_at": 1.0}, "expired")], ids=["revoked", "expired"]
)
def test_what_may_not_begin(fields: dict[str, Any], reason: str) -> None:
    """CALL-4, WORK-9."""
    outcome = verdict(reservation(note, **fields))
    assert isinstance(outcome, Revoked)
    assert json.loads(outcome.error)["reason"] == reason


def test_unknown_task_is_left_to_others_for_a_while() -> None:
    """E9: longer and longer, until the grace is over."""
    new = reservation("tests.tasks.newer")
    assert verdict(new) == Released(delay=1.0)
    aged = new._replace(enqueued_at=new.reserved_at - 100)
    assert verdict(aged) == Released(delay=50.0)
    ancient = new._replace(enqueued_at=new.reserved_at - 3601)
    assert type_of(verdict(ancient)) == "NotRegistered"


def test_loss_of_a_process_is_charged_to_what_it_ran() -> None:
    """A2, A4: a late message waits a little longer each time, until it has had enough."""
    delays = []
    for losses in range(2):
        outcome = judge.after_loss(reservation(note_late, losses=losses), "it died", HOLDER)
        assert isinstance(outcome, Released) and outcome.loss
        assert json.loads(outcome.error)["kind"] == "lost"
        delays.append(outcome.delay)
    assert 0 < delays[0] < delays[1]
    last = judge.after_loss(reservation(note_late, losses=2), "it died", HOLDER)
    assert type_of(last) == "WorkerLostError"
    assert type_of(judge.after_loss(reservation(note), "it died", HOLDER)) == "WorkerLostError"


@pytest.mark.parametrize(
    ("message", "begun", "released"),
    [
        (reservation(note), True, False),
        (reservation(note), False, True),
        (reservation(note_late), True, True),
        (reservation(note_late), False, True),
    ],
)
def test_stopping_worker_gives_up(message: Reservation, begun: bool, released: bool) -> None:
    """WORK-8: a message whose early acknowledgement stands may not run again, anything else may, uncharged."""
    outcome = judge.given_up(message, begun, HOLDER)
    assert outcome == Released() if released else type_of(outcome) == "WorkerLostError"


def test_record_of_a_run_that_was_ended_says_when_it_began() -> None:
    """Where the worker did not note it in time, when the message was received."""
    begun = reservation(note, started_at=1_700_000_000.0)
    for message, moment in ((begun, "2023-11-14T22:13:20+00:00"), (begun._replace(started_at=None), None)):
        ends = [judge.after_loss(message, "it died", HOLDER), judge.timed_out(message, 5, HOLDER)]
        ends += [judge.given_up(message, True, HOLDER), judge.revoked_in_pool(message, "SIGTERM", HOLDER)]
        received = datetime.fromtimestamp(message.reserved_at, tz=UTC).isoformat()
        assert {json.loads(end.error)["started_at"] for end in ends} == {moment or received}
    assert json.loads(judge.revoked_waiting(begun, HOLDER).error)["started_at"] is None
    assert type_of(judge.after_loss(reservation(note, started_at=1e300), "it died", HOLDER)) == "WorkerLostError"


@pytest.mark.parametrize("options", ["nonsense", "[1]", '"text"', "{" * 3000, "null"])
def test_spoilt_options_stop_no_verdict(options: str) -> None:
    """S18."""
    assert verdict(reservation(note, options=options)) is None
    assert type_of(judge.after_loss(reservation(note, options=options), "it died", HOLDER)) == "WorkerLostError"
