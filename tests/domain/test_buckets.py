"""Rate limits as they are written, and the bucket that keeps them (WORK-4)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djtasks.domain.rates import Bucket, rate_of


@pytest.mark.parametrize(
    ("written", "per_second"),
    [("10/s", 10), ("30/m", 0.5), ("36/h", 0.01), ("5", 5), (2.5, 2.5), (" 1.5 / m ", 0.025)],
)
def test_rate_is_read_as_celery_reads_it(written: float | str, per_second: float) -> None:
    """WORK-4."""
    assert rate_of(written) == pytest.approx(per_second)


@pytest.mark.parametrize("written", [None, "", 0, "0/m", 0.0])
def test_nothing_and_zero_are_no_limit(written: float | str | None) -> None:
    """WORK-4."""
    assert rate_of(written) is None


@pytest.mark.parametrize("written", ["ten", "10/d", "-1/s", "1/s/s", -1, float("inf"), float("nan"), True, [1]])
def test_what_is_no_rate_is_refused(written: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        rate_of(written)  # type: ignore[arg-type]


def test_first_token_is_there_and_the_next_comes_in_its_time() -> None:
    bucket = Bucket(rate=4.0)
    assert bucket.until_token(100.0) == 0
    bucket.take(100.0)
    assert bucket.until_token(100.0) == 0.25
    assert bucket.until_token(100.2) == pytest.approx(0.05)
    assert bucket.until_token(100.25) == 0


def test_idle_time_is_not_made_up_for() -> None:
    """WORK-4: one token at most, so that an hour without work is followed by no burst."""
    bucket = Bucket(rate=1.0)
    bucket.take(0.0)
    bucket.take(3600.0)
    assert bucket.until_token(3600.0) == 1


@given(st.floats(0.01, 1000), st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_no_two_takers_are_closer_than_the_rate_allows(rate: float, pauses: list[float]) -> None:
    """WORK-4."""
    bucket, now, taken = Bucket(rate), 0.0, []
    for pause in pauses:
        now += pause
        if not bucket.until_token(now):
            bucket.take(now)
            taken.append(now)
    assert all(later - earlier >= 1 / rate - 1e-9 for earlier, later in pairwise(taken))
