"""How long until the next attempt, and how often."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djtasks.domain.retries import backoff_seconds, exhausted, redelivery_delay, unknown_task_delay


@pytest.mark.parametrize(
    ("factor", "maximum", "delays"),
    [
        (True, 600, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]),
        (5, 600, [5, 10, 20, 40, 80, 160, 320, 600]),
        (2.9, 600, [2, 4, 8]),
        (0.5, 600, [1, 2, 4]),
        (-3, 600, [1, 2, 4]),
        (1000, 600, [600]),
        (1, 2.5, [1, 2, 2]),
        (1, 0, [0, 0]),
        (1, -5, [0]),
    ],
)
def test_backoff_doubles_up_to_its_maximum(factor: float, maximum: float, delays: list[int]) -> None:
    """RETRY-9."""
    assert [backoff_seconds(factor, retries, maximum, jitter=False) for retries in range(len(delays))] == delays


def test_jitter_draws_from_zero_to_the_delay_inclusive() -> None:
    """RETRY-9."""
    assert backoff_seconds(1, 3, 600, True, random=lambda stop: stop - 1) == 8
    assert backoff_seconds(1, 3, 600, True, random=lambda stop: 0) == 0
    assert {backoff_seconds(1, 1, 600, jitter=True) for _ in range(200)} == {0, 1, 2}


def test_ten_thousand_that_fail_at_once_come_back_evenly_spread() -> None:
    """H1: every second of the delay gets its share, none a crowd."""
    spread = Counter(backoff_seconds(1, 6, 600, jitter=True) for _ in range(10_000))
    assert set(spread) == set(range(65))
    assert min(spread.values()) > 90 and max(spread.values()) < 230


@given(st.floats(0, 1e6), st.integers(0, 10**9), st.integers(0, 10**6), st.booleans())
def test_any_number_of_retries_keeps_within_the_maximum(factor: float, retries: int, most: int, jitter: bool) -> None:
    assert 0 <= backoff_seconds(factor, retries, most, jitter) <= most


@pytest.mark.parametrize(
    ("retries", "most", "over"),
    [(0, 0, True), (0, 1, False), (2, 3, False), (3, 3, True), (4, 3, True), (10**6, None, False)],
)
def test_retries_are_exhausted_when_one_more_is_too_many(retries: int, most: int | None, over: bool) -> None:
    """RETRY-4."""
    assert exhausted(retries, most) is over


def test_each_loss_waits_four_times_as_long_up_to_a_minute() -> None:
    assert [redelivery_delay(losses) for losses in (-1, 0, 1, 2, 3, 4, 5, 6, 10**9)] == [
        0,
        0,
        0.25,
        1,
        4,
        16,
        60,
        60,
        60,
    ]


@pytest.mark.parametrize(("age", "delay"), [(-5, 1), (0, 1), (2, 1), (3, 1.5), (60, 30), (120, 60), (10**9, 60)])
def test_an_unknown_task_is_tried_again_after_half_its_age(age: float, delay: float) -> None:
    assert unknown_task_delay(age) == delay
