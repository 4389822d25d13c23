"""The consumer between a pool and a vendor that the test holds in its hands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError

from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Failure, Released, Success
from djtasks.worker.pools.base import Lost, Returned
from tests.helpers import reservation
from tests.tasks import note, note_late
from tests.worker.bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.pool.alarm.close()


def test_message_runs_and_is_settled_once(bench: Bench) -> None:
    message = reservation(note_late)
    bench.put(message)
    bench.until(lambda: bench.pool.running)
    bench.turn(bench.pool.end(message))
    bench.turn()
    assert bench.shelf.outcomes == [(message.token, Success("null"))]
    assert not bench.holdings


def test_early_message_is_begun_before_its_body(bench: Bench) -> None:
    """ACK-1: one that the reservation itself did not begin is begun by a statement of its own."""
    message = reservation(note)
    bench.put(message)
    seen: list[bool] = []
    bench.shelf.after = lambda: seen.append(message.token in bench.pool.running)
    bench.until(lambda: bench.pool.running)
    assert seen == [False, False]


def test_announcement_during_a_reservation_is_not_forgotten(bench: Bench) -> None:
    """C10: what is announced while a demand is on its way may be too late for it, and is asked for at once."""
    late = reservation(note_late)

    def announce() -> None:
        bench.shelf.after = lambda: None
        bench.put(late)

    bench.shelf.after = announce
    assert bench.turn() == 0.0
    bench.turn()
    assert late.token in bench.pool.running


def test_nothing_is_lost_between_a_suspect_and_its_neighbours(bench: Bench) -> None:
    """A4: a suspect takes a slot for itself, and what no longer fits waits."""
    suspect = reservation(note_late, losses=1)
    others = [reservation(note_late) for _ in range(3)]
    learn_quick(bench)
    bench.put(suspect, *others)
    done: set[Token] = set()

    def all_done() -> bool:
        for token in list(bench.pool.running):
            done.add(token)
            bench.consumer.absorb([bench.pool.end(bench.pool.running[token], seconds=0.0001)])
        return len(done) == 4

    bench.until(all_done)
    assert bench.pool.alone == [suspect.token]


@pytest.mark.parametrize("order", ["lost first", "ended first"])
def test_run_whose_lease_is_lost_is_told_so(bench: Bench, order: str) -> None:
    """A5: it waits for word of its settlement, and gets it although there is nothing to settle."""
    message = reservation(note_late)
    bench.put(message)
    bench.until(lambda: bench.pool.running)
    end = bench.pool.end(message, waits=True)
    if order == "ended first":
        bench.consumer.absorb([end])
    bench.consumer.drop([message.token])
    if order == "lost first":
        bench.turn(end)
    assert bench.pool.confirmed == {message.token: False}
    assert (bench.pool.abandoned == [message.token]) is (order == "lost first")
    bench.turn()
    assert bench.shelf.outcomes == []


def test_idle_worker_finds_the_database_again(bench: Bench) -> None:
    """C1: with nothing to settle and nothing to begin it is asked all the same."""
    bench.shelf.before = out_of_order
    bench.intake.look()
    bench.turn()
    bench.shelf.before = lambda: None
    bench.until(lambda: bench.shelf.recoveries)
    message = reservation(note_late)
    bench.put(message)
    bench.until(lambda: bench.pool.running)


def test_outcomes_are_kept_through_an_outage(bench: Bench) -> None:
    """C1, trap 5."""
    message = reservation(note_late)
    bench.put(message)
    bench.until(lambda: bench.pool.running)
    bench.shelf.before = out_of_order
    bench.turn(bench.pool.end(message))
    assert 0 < bench.turn() < 3
    bench.shelf.before = lambda: None
    bench.until(lambda: not bench.holdings)
    assert bench.shelf.outcomes == [(message.token, Success("null"))]


def test_settlement_whose_answer_was_lost_is_written_once(bench: Bench) -> None:
    """C3: the commit went through, and the run hears that it was written."""
    message = reservation(note_late)
    bench.put(message)
    bench.until(lambda: bench.pool.running)
    bench.shelf.after = out_of_order
    bench.turn(bench.pool.end(message, waits=True))
    bench.shelf.after = lambda: None
    bench.until(lambda: not bench.holdings)
    assert bench.shelf.outcomes == [(message.token, Success("null"))]
    assert bench.pool.confirmed == {message.token: True}


def test_reservation_whose_answer_was_lost_is_adopted(bench: Bench) -> None:
    """C3: what was leased to this worker runs here, and not only when the lease has run out."""
    message = reservation(note_late)
    bench.put(message)
    bench.shelf.after = out_of_order
    bench.turn()
    bench.shelf.after = lambda: None
    bench.until(lambda: bench.pool.running)
    assert list(bench.pool.running) == [message.token]


def learn_quick(bench: Bench) -> None:
    """Let the pace believe that tasks are short."""
    for _ in range(60):
        bench.intake.pace.learn(0.0001)


def out_of_order() -> None:
    raise OperationalError("the server closed the connection unexpectedly")


def test_what_waits_behind_long_bodies_goes_back_and_stays_back(bench: Bench) -> None:
    """H4: it is for other workers; one that has no slot does not take it again."""
    quick = [reservation(note_late) for _ in range(60)]
    bench.put(*quick)

    def all_done() -> bool:
        bench.consumer.absorb([bench.pool.end(each, seconds=0.0001) for each in list(bench.pool.running.values())])
        return not bench.shelf.ready and not bench.holdings

    bench.until(all_done)
    assert bench.intake.pace.ahead() > 10
    long = [reservation(note_late) for _ in range(2)]
    bench.put(*long, *[reservation(note_late) for _ in range(10)])
    bench.until(lambda: len(released(bench)) == 10)
    bench.put(*[reservation(note_late) for _ in range(10)])
    for _ in range(5):
        bench.turn()
    assert len(bench.shelf.ready) == 10


def released(bench: Bench) -> list[Token]:
    return [token for token, outcome in bench.shelf.outcomes if isinstance(outcome, Released)]


def test_lost_process_harms_only_what_it_had_begun(bench: Bench) -> None:
    """A2, ACK-1, ACK-3."""
    early = reservation(note, started_at=1.0, begun_before=False)
    late, behind = reservation(note_late), reservation(note_late)
    bench.put(early, late)
    bench.until(lambda: len(bench.pool.running) == 2)
    bench.pool.running.clear()
    bench.put(behind)
    bench.until(lambda: behind.token in bench.pool.running)
    bench.pool.running.clear()
    bench.turn(Lost([early.token, late.token], [behind.token], "it died"))
    bench.turn()
    ends = dict(bench.shelf.outcomes)
    assert isinstance(ends[early.token], Failure)
    assert ends[late.token] == Released(ends[late.token].delay, ends[late.token].error, loss=True)
    assert list(bench.pool.running) == [behind.token]


def test_stopping_worker_releases_at_once_what_has_not_begun(bench: Bench) -> None:
    """A8: what waits here and what waits in the pool."""
    learn_quick(bench)
    running, behind = [reservation(note_late) for _ in range(2)], [reservation(note_late) for _ in range(3)]
    suspects = [reservation(note_late, losses=1) for _ in range(2)]
    bench.put(*running, *behind, *suspects)
    bench.until(lambda: len(bench.holdings) == 7 and len(bench.pool.running) == 5)
    bench.consumer.stop()
    bench.turn()
    assert set(released(bench)) == {message.token for message in behind + suspects}


def test_stopping_worker_releases_what_comes_back(bench: Bench) -> None:
    """A8."""
    running, behind = reservation(note_late), reservation(note_late)
    bench.put(running, behind)
    bench.until(lambda: len(bench.pool.running) == 2)
    bench.consumer.stop()
    bench.turn(Returned([behind.token]))
    assert bench.shelf.outcomes == [(behind.token, Released())]
    bench.put(reservation(note_late))
    bench.turn()
    assert len(bench.shelf.ready) == 1


def test_after_a_stall_nothing_is_taken_from_others(bench: Bench) -> None:
    """A14: until each of them has had the time to renew its leases."""
    bench.intake.look()
    bench.turn()
    bench.consumer.ledger.outage._expected_at -= 60
    bench.intake.look()
    bench.turn()
    assert [demand.lapsed for demand in bench.shelf.demands] == [True, False]


@pytest.mark.parametrize("given", [{"LEASE_SECONDS": 1, "POLL_SECONDS": 1}, {"LEASE_SECONDS": 2, "POLL_SECONDS": 60}])
def test_rest_is_no_stall(settings: Any, given: dict[str, float]) -> None:
    """A14, A1: a worker that looks seldom receives lapsed messages all the same."""
    settings.DJTASKS = given
    bench = Bench()
    bench.intake.look()
    bench.turn()
    rest, outage = bench.turn(), bench.consumer.ledger.outage
    outage.observe(time.monotonic() + rest + 0.1)
    assert not outage.recent
    outage.observe(time.monotonic() + rest + given["LEASE_SECONDS"])
    assert outage.recent
