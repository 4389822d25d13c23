"""How far ahead to reserve, and how to bear an outage: H1, H4, H6, A14."""

from __future__ import annotations

import time

import pytest

from djtasks.worker.pace import LONGEST_PAUSE, TOGETHER_SECONDS, Outage, Pace


@pytest.fixture
def pace() -> Pace:
    return Pace(slots=4)


def learn_quick(pace: Pace) -> None:
    for _ in range(60):
        pace.learn(0.0001)


def test_nothing_is_reserved_ahead_at_first(pace: Pace) -> None:
    assert (pace.ahead(), pace.depth()) == (0, 1)


def test_short_tasks_are_reserved_ahead(pace: Pace) -> None:
    """H4: no more than the slots need for a moment."""
    learn_quick(pace)
    assert 4 < pace.ahead() <= 500
    assert 1 < pace.depth() <= 64


@pytest.mark.parametrize(("seconds", "depth"), [(0.012, 4), (0.02, 2), (0.06, 1)])
def test_slot_of_short_tasks_has_the_next_at_hand(pace: Pace, seconds: float, depth: int) -> None:
    for _ in range(60):
        pace.learn(seconds)
    assert pace.depth() == depth


def test_one_long_task_ends_it_at_once(pace: Pace) -> None:
    learn_quick(pace)
    pace.learn(10)
    assert (pace.ahead(), pace.depth()) == (0, 1)


def test_one_that_does_not_end_ends_it_too(pace: Pace) -> None:
    learn_quick(pace)
    pace.suffer(0.5)
    assert (pace.ahead(), pace.depth()) == (0, 1)


def test_idleness_teaches_nothing(pace: Pace) -> None:
    pace.suffer(0)
    assert pace.ahead() == 0


def test_early_messages_are_never_reserved_ahead(pace: Pace) -> None:
    """ACK-1: an early message is begun when its slot is free."""
    learn_quick(pace)
    pace.saw(late=False)
    assert pace.ahead() == 0


def test_short_bodies_that_began_together_are_settled_together(pace: Pace) -> None:
    learn_quick(pace)
    pace.saw(late=False)
    pace.begin(2)
    began_at = time.monotonic()
    pace.learn(0.0001)
    assert 0 < pace.until_together(began_at) <= TOGETHER_SECONDS
    assert pace.until_together(began_at + TOGETHER_SECONDS) == 0
    pace.learn(0.0001)
    assert pace.until_together(began_at) == 0


@pytest.mark.parametrize(("late", "seconds"), [(True, 0.0001), (False, 1)])
def test_nobody_waits_for_long_or_late_ones(pace: Pace, late: bool, seconds: float) -> None:
    learn_quick(pace)
    pace.saw(late=late)
    pace.begin(2)
    pace.learn(seconds)
    assert pace.until_together(time.monotonic()) == 0


def test_pauses_of_an_outage_grow_and_differ() -> None:
    """H6: a database that comes back is not met by everybody at once."""
    pauses = []
    for _ in range(20):
        outage = Outage(lease=30)
        row = []
        for _ in range(12):
            outage.begin()
            row.append(outage.until_retry(time.monotonic()))
        pauses.append(row)
    assert all(0 < row[0] <= 0.1 and LONGEST_PAUSE / 2 - 0.1 <= row[-1] <= LONGEST_PAUSE for row in pauses)
    assert len({round(row[-1], 3) for row in pauses}) > 10


def test_outage_is_logged_now_and_then() -> None:
    """H6: at most a line in five seconds."""
    outage = Outage(lease=30)
    assert [outage.begin() for _ in range(10)] == [True] + [False] * 9
    outage.over()
    assert not outage.begin()


@pytest.mark.parametrize(("lease", "trusts"), [(30, True), (40, False)])
def test_after_a_long_outage_no_lapse_is_trusted(lease: float, trusts: bool) -> None:
    """A14: nobody could renew, and everybody is about to."""
    outage = Outage(lease)
    outage._answered_at -= 16
    outage.begin()
    outage.over()
    assert outage.recent is trusts
    assert outage.until_retry(time.monotonic()) == 0.0


def test_outage_that_was_noticed_late_is_as_long_as_it_was() -> None:
    """A14: an idle worker meets it only when it looks again."""
    outage = Outage(lease=30)
    outage._answered_at -= 10
    assert not outage.over()
    outage._answered_at -= 16
    outage.begin()
    assert outage.over() and outage.recent


def test_holder_is_back_while_nobody_trusts_a_lapse() -> None:
    """C1: however long the database was away."""
    outage = Outage(lease=2)
    for _ in range(20):
        outage.begin()
    assert outage.until_retry(time.monotonic()) <= 0.5


def test_short_outage_changes_nothing() -> None:
    outage = Outage(lease=30)
    outage.begin()
    outage.over()
    assert not outage.recent


def test_stall_is_like_an_outage() -> None:
    """A14: a process that was stopped for long does not know who else was."""
    outage = Outage(lease=2)
    outage.expect(5)
    outage.observe(time.monotonic() + 5.5)
    assert not outage.recent
    outage.observe(time.monotonic() + 6.5)
    assert outage.recent


def test_stall_in_the_middle_of_a_turn_counts() -> None:
    """A14: while a statement is on its way, say."""
    outage = Outage(lease=2)
    outage.observe(time.monotonic() - 5)
    outage.expect(0.2)
    assert outage.recent
