"""Rate limits in a worker whose pool and queue the test holds in its hands: WORK-4."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from djtasks import shared_task
from djtasks.exceptions import NotRegistered
from djtasks.tasks import registry
from djtasks.worker.consumer import Consumer
from djtasks.worker.intake import Intake
from djtasks.worker.rates import Rates
from tests.helpers import reservation
from tests.tasks import note, note_late
from tests.worker.bench import Bench

NEVER = "1/h"


@dataclass
class LimitedBench(Bench):
    """A worker that limits some tasks; every test ends before a second token of theirs comes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.limit({note_late.name: NEVER})

    def limit(self, rates: dict[str, Any], *, burst: bool = False) -> None:
        self.rates = Rates(rates)
        self.intake = Intake(self.pool.holder.worker_id, self.pool, self.holdings, rates=self.rates, burst=burst)
        self.consumer = Consumer(
            self.pool, self.pool.holder, self.holdings, self.intake, self.consumer.ledger, self.ending
        )

    def turns(self, count: int = 6) -> None:
        for _ in range(count):
            self.turn()

    def end_all(self) -> list[str]:
        """Let all bodies end that run; return their tasks."""
        ended = list(self.pool.running.values())
        self.turn(*[self.pool.end(message) for message in ended])
        return [message.task for message in ended]


@pytest.fixture
def bench() -> Iterator[LimitedBench]:
    made = LimitedBench()
    yield made
    made.pool.alarm.close()


def limited(count: int) -> list[Any]:
    return [reservation(note_late) for _ in range(count)]


def test_limited_message_waits_in_the_table_and_blocks_nobody(bench: LimitedBench) -> None:
    """WORK-4: one begins, the others stay where any other worker may have them, and what is behind them runs."""
    others = [reservation(note) for _ in range(5)]
    bench.put(*limited(5), *others)
    begun: list[str] = []
    for _ in range(12):
        bench.turn()
        begun += bench.end_all()
    assert sorted(begun) == sorted([note_late.name] + [note.name] * 5)
    assert len(bench.shelf.ready) == 4 and not bench.holdings


def test_worker_sleeps_until_the_next_token(bench: LimitedBench) -> None:
    """WORK-4: it begins the next one in its time, and asks nothing of the database until then."""
    bench.limit({note_late.name: 4})
    bench.put(*limited(2))
    bench.until(lambda: bench.pool.running)
    began_at = time.monotonic()
    bench.end_all()
    bench.turns()
    asked = len(bench.shelf.demands)
    assert 0 < bench.turn() <= 0.25 and len(bench.shelf.demands) == asked
    bench.until(lambda: bench.pool.running)
    assert 0.2 < time.monotonic() - began_at < 10


def test_full_pool_takes_no_token(bench: LimitedBench) -> None:
    """WORK-4: and the worker does not spin while it waits for a slot."""
    bench.put(*[reservation(note) for _ in range(2)])
    bench.until(lambda: len(bench.pool.running) == 2)
    bench.put(*limited(1))
    asked = len(bench.shelf.demands)
    assert bench.turn() > 0.1 and len(bench.shelf.demands) == asked
    bench.end_all()
    bench.until(lambda: note_late.name in [message.task for message in bench.pool.running.values()])


def test_message_that_does_not_begin_costs_no_token(bench: LimitedBench) -> None:
    """WORK-4: a revoked one, say."""
    bench.put(reservation(note_late, revoked=True), reservation(note_late))
    bench.until(lambda: bench.pool.running)


def test_retry_and_suspect_need_a_token_each(bench: LimitedBench) -> None:
    """WORK-4: the rate holds for attempts, as Celery's does."""
    suspect = reservation(note_late, losses=1)
    bench.put(suspect, reservation(note_late, retries=1))
    bench.until(lambda: bench.pool.running)
    bench.end_all()
    bench.turns()
    assert bench.pool.alone == [suspect.token] and len(bench.shelf.ready) == 1


def test_busy_worker_serves_both(bench: LimitedBench) -> None:
    """WORK-4: an endless stream of others does not keep the limited from its rate."""
    bench.put(*[reservation(note) for _ in range(50)], *limited(2))
    begun: list[str] = []
    while note_late.name not in begun:
        assert len(begun) < 10
        bench.turn()
        begun += bench.end_all()


def test_limits_change_while_the_worker_runs(bench: LimitedBench) -> None:
    """WORK-4: a limit is lifted, and set."""
    bench.put(*limited(2))
    bench.until(lambda: bench.pool.running)
    bench.end_all()
    bench.turns()
    assert not bench.pool.running
    bench.rates.change(note_late.name, None)
    bench.intake.look()
    bench.until(lambda: bench.pool.running)
    bench.end_all()
    bench.rates.change(note.name, NEVER)
    bench.put(reservation(note), reservation(note), reservation(note_late))
    bench.until(lambda: len(bench.pool.running) == 2)
    assert sorted(bench.end_all()) == sorted([note.name, note_late.name])
    bench.turns()
    assert not bench.pool.running and len(bench.shelf.ready) == 1


def test_what_cannot_be_changed_is_refused(bench: LimitedBench, settings: Any) -> None:
    with pytest.raises(NotRegistered):
        bench.rates.change("tests.tasks.missing", "1/s")
    with pytest.raises(ValueError, match="no rate limit"):
        bench.rates.change(note.name, "often")
    settings.DJTASKS = {"WORKER_DISABLE_RATE_LIMITS": True}
    with pytest.raises(ValueError, match="WORKER_DISABLE_RATE_LIMITS"):
        bench.rates.change(note.name, "1/s")


def test_rates_are_those_of_the_tasks_unless_switched_off(settings: Any) -> None:
    """WORK-4: rate_limit of the task, else TASK_DEFAULT_RATE_LIMIT; WORKER_DISABLE_RATE_LIMITS heeds none."""
    limited = Rates.of_tasks().limited
    assert "tests.tasks.note_limited" in limited and note.name not in limited
    settings.DJTASKS = {"TASK_DEFAULT_RATE_LIMIT": "5/m"}
    rates = Rates.of_tasks()
    assert set(registry.names()) <= set(rates.limited)
    rates.take(note.name)
    assert 11 < rates.until_token(note.name, time.monotonic()) <= 12
    settings.DJTASKS = {"TASK_DEFAULT_RATE_LIMIT": "5/m", "WORKER_DISABLE_RATE_LIMITS": True}
    assert Rates.of_tasks().limited == ()


def test_worker_without_limits_asks_as_it_always_did() -> None:
    bench = Bench()
    bench.put(reservation(note))
    bench.until(lambda: bench.pool.running)
    assert not any(demand.chooses for demand in bench.shelf.demands)
    bench.pool.alarm.close()


def test_burst_is_not_over_while_something_waits_for_a_token(bench: LimitedBench) -> None:
    """WORK-4: what is limited runs at its rate until nothing is left; and nobody waits for a token to learn that."""
    bench.limit({note_late.name: 5}, burst=True)
    bench.put(*limited(2))
    bench.until(lambda: bench.pool.running)
    bench.end_all()
    bench.turns(10)
    assert not bench.intake.drained
    bench.until(lambda: bench.pool.running)
    bench.rates.change(note_late.name, NEVER)
    bench.rates.take(note_late.name)
    bench.end_all()
    bench.until(lambda: bench.intake.drained)


def test_messages_under_an_old_name_draw_from_the_same_bucket() -> None:
    """E11, WORK-4: also where the limit is changed by that name."""
    task = shared_task(name="tests.renamed", aliases=["tests.old_name"])(print)
    try:
        rates = Rates({task.name: NEVER})
        assert rates.limited == ("tests.old_name", "tests.renamed")
        rates.take("tests.old_name")
        assert rates.until_token("tests.renamed", time.monotonic()) > 1
        rates.change("tests.old_name", None)
        assert rates.limited == ()
        rates.change("tests.old_name", "1/h")
        assert rates.limited == ("tests.old_name", "tests.renamed")
    finally:
        registry.forget(task.name)
