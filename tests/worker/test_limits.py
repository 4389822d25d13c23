"""Which limit holds for which body, and what becomes of those that pass it: WORK-3, ACK-5, ACK-6, CALL-5."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from djtasks import shared_task
from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Failure, Outcome, Released, Revoked
from djtasks.exceptions import NotRegistered
from djtasks.worker import judge
from djtasks.worker.execution import Holder
from tests.helpers import reservation
from tests.tasks import note, note_late
from tests.worker.bench import Bench

HOLDER = Holder("00000000-0000-0000-0000-000000000001", "bench")


@shared_task(soft_time_limit=5, time_limit=10)
def limited() -> None: ...


@shared_task(acks_late=True, time_limit=10, acks_on_timeout=False, max_deliveries=2)
def limited_late() -> None: ...


@shared_task(time_limit=None)
def unlimited() -> None: ...


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.pool.alarm.close()


def run_for(bench: Bench, message: Reservation, seconds: float) -> list[str]:
    """Let a body run so long; say what was done to it."""
    bench.put(message)
    bench.until(lambda: message.token in bench.pool.running)
    bench.pool.age = seconds
    bench.turn()
    bench.turn()
    done = ["interrupted" for token in bench.pool.interrupted if token == message.token]
    return done + [signal for token, signal in bench.pool.terminated if token == message.token]


def options(**given: Any) -> str:
    return json.dumps(given)


@pytest.mark.parametrize(
    ("message", "seconds", "done"),
    [
        (reservation(limited), 4, []),
        (reservation(limited), 6, ["interrupted"]),
        (reservation(limited), 11, ["SIGKILL"]),
        # The call's over the task's; an explicit None clears it (CALL-5).
        (reservation(limited, options=options(soft_time_limit=20, time_limit=30)), 11, []),
        (reservation(limited, options=options(soft_time_limit=20, time_limit=30)), 31, ["SIGKILL"]),
        (reservation(limited, options=options(soft_time_limit=None, time_limit=None)), 1e6, []),
        # The worker's stands in for what the task does not say: here it is 100 seconds.
        (reservation(note), 99, []),
        (reservation(note), 101, ["SIGKILL"]),
        (reservation(unlimited), 1e6, []),
        # Spoilt by hand.
        (reservation(limited, options=options(soft_time_limit="x", time_limit=-1)), 6, ["interrupted"]),
        (reservation(limited, options="nonsense"), 11, ["SIGKILL"]),
    ],
)
def test_limit_of_the_call_goes_before_the_tasks_and_the_workers(
    bench: Bench, message: Reservation, seconds: float, done: list[str]
) -> None:
    assert run_for(bench, message, seconds) == done


def test_what_nobody_has_limited_ends_after_a_day(bench: Bench, settings: Any) -> None:
    """A7: the default is finite, so that a body that hangs for ever does not hold its slot for ever."""
    bench.limits.hard = None
    assert run_for(bench, reservation(note), 86_399) == []
    bench.pool.age = 86_401
    bench.turn()
    assert len(bench.pool.terminated) == 1


def test_limits_can_be_changed_while_the_worker_runs(bench: Bench) -> None:
    bench.limits.change(limited.name, 1, 2)
    assert run_for(bench, reservation(limited), 3) == ["SIGKILL"]
    bench.limits.change(limited.name)
    assert run_for(bench, reservation(limited), 1e6) == []


renamed = shared_task(lambda: None, name="test_limits.renamed", aliases=["test_limits.old"], time_limit=10)


@pytest.mark.parametrize("name", ["test_limits.renamed", "test_limits.old"])
def test_change_reaches_messages_under_each_name_of_a_task(bench: Bench, name: str) -> None:
    """E11."""
    bench.limits.change(name, None, 2)
    assert run_for(bench, reservation("test_limits.renamed"), 3) == ["SIGKILL"]
    assert run_for(bench, reservation("test_limits.old"), 3) == ["SIGKILL"]


@pytest.mark.parametrize(
    ("name", "soft", "hard", "error"),
    [("nobody", 1, 2, NotRegistered), ("limited", 2, 1, ValueError), ("limited", 0, None, ValueError)],
)
def test_wrong_changes_are_refused(
    bench: Bench, name: str, soft: float, hard: float | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bench.limits.change(limited.name if name == "limited" else name, soft, hard)
    assert run_for(bench, reservation(limited), 6) == ["interrupted"]


def test_body_is_interrupted_once(bench: Bench) -> None:
    """WORK-3: it may catch the exception and go on until the hard limit."""
    message = reservation(limited)
    assert run_for(bench, message, 6) == ["interrupted"]
    bench.turn()
    assert bench.pool.interrupted == [message.token]
    bench.pool.age = 11
    bench.turn()
    assert bench.pool.terminated == [(message.token, "SIGKILL")]


def test_ended_body_is_settled_as_such_and_its_late_word_is_refused(bench: Bench) -> None:
    """ACK-6: an early message has failed, and what its thread says later is nobody's."""
    message = reservation(limited)
    run_for(bench, message, 11)
    bench.turn()
    ((token, outcome),) = bench.shelf.outcomes
    assert token == message.token and type_of(outcome) == "TimeLimitExceeded"
    assert not bench.holdings


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (reservation(limited), Failure),
        (reservation(note_late), Failure),
        (reservation(limited_late), Released),
        (reservation(limited_late, losses=1), Failure),
    ],
)
def test_late_message_runs_again_only_where_its_task_says_so(message: Reservation, kind: type) -> None:
    """ACK-5: without acks_on_timeout it is requeued, and charged, so that this comes to an end (ACK-3)."""
    outcome = judge.timed_out(message, 10, HOLDER)
    assert type(outcome) is kind and type_of(outcome) == "TimeLimitExceeded"
    if isinstance(outcome, Released):
        assert outcome.loss and outcome.delay > 0


def type_of(outcome: Outcome) -> str:
    assert isinstance(outcome, (Failure, Released))
    return str(json.loads(outcome.error)["type"]).rpartition(".")[2]


def test_revoked_body_is_told_or_ended(bench: Bench) -> None:
    """WORK-9: and what has not begun never does."""
    told, ended, waiting = reservation(note), reservation(note), reservation(note_late, losses=1)
    bench.put(told, ended, waiting)
    bench.until(lambda: len(bench.pool.running) == 2)
    bench.holdings.accept(waiting)
    bench.ending.revoke({told.token: "", ended.token: "SIGTERM", waiting.token: "SIGKILL"})
    assert bench.pool.told == [told.token]
    assert bench.pool.terminated == [(ended.token, "SIGTERM")]
    bench.shelf.leased[waiting.token] = waiting
    bench.turn()
    outcomes = dict(bench.shelf.outcomes)
    assert set(outcomes) == {ended.token, waiting.token}
    reasons = {token: judge.reason_of(outcome) for token, outcome in outcomes.items() if isinstance(outcome, Revoked)}
    assert reasons == {ended.token: "terminated by SIGTERM", waiting.token: "revoked"}


def test_who_has_ended_is_revoked_no_more(bench: Bench) -> None:
    message = reservation(note)
    bench.put(message)
    bench.until(lambda: bench.pool.running)
    bench.consumer.absorb([bench.pool.end(message)])
    bench.ending.revoke({message.token: "SIGKILL", reservation(note).token: ""})
    bench.turn()
    assert [type(outcome).__name__ for _, outcome in bench.shelf.outcomes] == ["Success"]
