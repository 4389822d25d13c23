"""Connections that do not answer, and leases that nobody may trust any more: C4, F15."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from djtasks.broker.deadlines import LONGEST_SECONDS, TICK_SECONDS, Deadline, Watch
from djtasks.domain.outcomes import Released
from tests.helpers import reservation
from tests.tasks import note_late
from tests.worker.bench import Bench, Shelf


class Stuck(Shelf):
    """A queue whose connection answers only once it is broken off."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = threading.Event()

    def cut(self) -> None:
        self.broken.set()


def test_silence_of_a_whole_connection_is_noticed_within_twenty_seconds(settings: Any) -> None:
    """C4, F15: by default; and where leases are short, before half of one has passed."""
    assert Deadline().seconds + 2 * TICK_SECONDS <= 20 and Deadline().seconds == LONGEST_SECONDS
    assert Deadline().seconds <= 30 / 2
    settings.DJTASKS = {"LEASE_SECONDS": 4}
    assert Deadline().seconds == 2


def test_watch_breaks_off_who_does_not_answer_and_no_other(settings: Any) -> None:
    settings.DJTASKS = {"LEASE_SECONDS": 1}
    silent, prompt, idle = Stuck(), Stuck(), Stuck()
    deadlines = [Deadline() for _ in range(3)]
    watch = Watch(*deadlines)
    watch.start()
    began_at = time.monotonic()
    deadlines[0].begin(silent)
    while not silent.broken.wait(0.05):
        deadlines[1].begin(prompt)
        deadlines[1].end()
    assert 0.4 < time.monotonic() - began_at < 5
    assert not prompt.broken.is_set() and not idle.broken.is_set()
    watch.end()
    watch.join(5)


def test_time_in_which_this_process_stood_still_does_not_count() -> None:
    """A14: the answer may have come meanwhile."""
    vendor, deadline = Stuck(), Deadline()
    deadline.begin(vendor)
    deadline._until = time.monotonic() - 1
    deadline.extend()
    deadline.enforce()
    assert not vendor.broken.is_set()


@pytest.mark.parametrize("renewed", [True, False])
def test_what_has_not_begun_under_a_lease_that_was_not_renewed_does_not_begin(renewed: bool) -> None:
    """C4: another worker may have it; it is given back, and what is trusted begins."""
    bench = Bench(slots=1)
    first, waiting = reservation(note_late), reservation(note_late)
    for _ in range(60):
        bench.intake.pace.learn(0.003)
    bench.put(first)
    bench.until(lambda: first.token in bench.pool.running)
    bench.holdings.accept(waiting)
    bench.shelf.leased[waiting.token] = waiting
    bench.holdings.held[waiting.token].since -= 25
    bench.holdings.renewed(time.monotonic() - (1 if renewed else 25))
    bench.turn(bench.pool.end(first))
    bench.turn()
    assert (waiting.token in bench.pool.running) is renewed
    assert ((waiting.token, Released()) in bench.shelf.outcomes) is not renewed
    bench.pool.alarm.close()


def test_waiting_for_an_answer_is_watched() -> None:
    """C4: every transaction of the consumer's is under the deadline, and nothing else is."""
    bench = Bench()
    seen: list[float] = []
    deadline = bench.consumer.ledger.deadline
    bench.shelf.before = lambda: seen.append(deadline._until)
    bench.put(reservation(note_late))
    bench.until(lambda: bench.pool.running)
    assert seen and max(seen) <= time.monotonic() + LONGEST_SECONDS
    assert deadline._until == float("inf")
    bench.pool.alarm.close()
