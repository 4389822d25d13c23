"""Names that are not registered here, in a worker whose pool and queue the test holds in its hands: E9."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Failure, Released
from djtasks.worker.strangers import MOST_NAMES, Strangers
from tests.helpers import reservation
from tests.tasks import note
from tests.worker.bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.pool.alarm.close()


def unknown(age: float = 0.0) -> Reservation:
    message = reservation(note)._replace(task="tests.newer.note")
    return message._replace(enqueued_at=message.reserved_at - age)


def test_name_is_left_alone_once_it_was_met(bench: Bench) -> None:
    """E9: what comes after the first of them stays where another worker may have it, and holds up nobody."""
    bench.put(unknown())
    bench.until(lambda: bench.shelf.outcomes)
    assert [outcome for _, outcome in bench.shelf.outcomes] == [Released(delay=1.0)]
    known = reservation(note)
    bench.put(unknown(), known)
    bench.until(lambda: known.token in bench.pool.running)
    assert [message.task for message in bench.shelf.ready] == ["tests.newer.note"]


def test_name_is_received_again_after_a_while(bench: Bench, settings: object) -> None:
    """E9: somebody has to end it when its grace is over; here that is half a second away."""
    settings.DJTASKS = {"UNKNOWN_TASK_GRACE": 10}  # type: ignore[attr-defined]
    bench.put(unknown(age=9.5))
    bench.until(lambda: bench.shelf.outcomes)
    bench.put(last := unknown(age=11.0))
    began = time.monotonic()
    assert bench.turn() <= 0.5 and bench.shelf.ready == [last]
    bench.until(lambda: len(bench.shelf.outcomes) == 2)
    assert isinstance(bench.shelf.outcomes[1][1], Failure) and time.monotonic() - began > 0.3


def test_worker_without_a_free_slot_sleeps_though_a_name_may_be_received_again(bench: Bench) -> None:
    bench.intake.strangers.meet("a", 0.0, 0.0)
    bench.put(*[reservation(note) for _ in range(2)])
    bench.until(lambda: len(bench.pool.running) == 2)
    assert bench.turn() > 0


def test_name_is_left_alone_longer_than_its_messages_wait() -> None:
    """So that a worker that knows it receives it first; but not longer than they may wait."""
    for delay, grace, seconds in ((1.0, 3600.0, 2.0), (1.0, 1.5, 1.5), (0.05, 0.01, 0.05)):
        strangers, now = Strangers(), time.monotonic()
        strangers.meet("a", delay, grace)
        assert strangers.until() - now == pytest.approx(seconds, abs=0.02)
        assert strangers.names(now) == ("a",) and strangers.names(now + seconds + 0.1) == ()


def test_message_that_waits_for_less_does_not_shorten_the_time() -> None:
    strangers = Strangers()
    strangers.meet("a", 30.0, 3600.0)
    until = strangers.until()
    strangers.meet("a", 1.0, 3600.0)
    assert strangers.until() == until


def test_invented_names_do_not_make_reservations_long() -> None:
    strangers = Strangers()
    for number in range(2 * MOST_NAMES):
        strangers.meet(str(number), 1.0, 3600.0)
    assert len(strangers.names(time.monotonic())) == MOST_NAMES
