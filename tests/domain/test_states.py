"""States have Celery's order, and a living message's state follows from its columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest

from djtasks.domain import states
from djtasks.domain.states import label_of_message, of_message, precedence, state

ORDER = ["SUCCESS", "FAILURE", "MY_OWN", "REVOKED", "STARTED", "RECEIVED", "REJECTED", "RETRY", "PENDING"]


def test_states_are_grouped_as_in_celery() -> None:
    """RES-1."""
    assert {"SUCCESS", "FAILURE", "REVOKED"} == states.READY_STATES
    assert {"FAILURE", "REVOKED"} == states.PROPAGATE_STATES
    assert {"RETRY", "FAILURE", "REVOKED"} == states.EXCEPTION_STATES
    assert {"PENDING", "RECEIVED", "STARTED", "REJECTED", "RETRY"} == states.UNREADY_STATES
    assert states.READY_STATES | states.UNREADY_STATES | {"IGNORED"} == states.ALL_STATES


@pytest.mark.parametrize(("high", "low"), list(combinations(ORDER, 2)))
def test_states_compare_by_precedence(high: str, low: str) -> None:
    """RES-2."""
    assert precedence(high) < precedence(low)
    assert state(high) > low
    assert state(high) >= low
    assert state(low) < high
    assert state(low) <= state(high)
    assert not state(high) < low
    assert not state(low) >= high


def test_a_state_equals_its_text() -> None:
    assert state("SUCCESS") == "SUCCESS"
    assert state("SUCCESS") >= "SUCCESS"
    assert state("SUCCESS") <= "SUCCESS"
    assert hash(state("SUCCESS")) == hash("SUCCESS")
    assert max("RETRY", "FAILURE", "PENDING", key=state) == "FAILURE"
    assert precedence("MY_OWN") == precedence("IGNORED") == precedence(None)


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("due_at", "leased_until", "started_at", "retries", "own", "label", "shown"),
    [
        (None, None, None, 0, "", "blocked", "PENDING"),
        (None, None, None, 1, None, "blocked", "PENDING"),
        (FUTURE, None, None, 0, None, "delayed", "PENDING"),
        (FUTURE, PAST, PAST, 0, "HALFWAY", "delayed", "PENDING"),
        (FUTURE, None, None, 1, None, "retrying", "RETRY"),
        (PAST, None, None, 0, None, "ready", "PENDING"),
        (NOW, None, None, 0, None, "ready", "PENDING"),
        (PAST, None, None, 2, None, "ready", "RETRY"),
        (PAST, PAST, PAST, 0, "HALFWAY", "ready", "PENDING"),
        (PAST, NOW, PAST, 1, "HALFWAY", "ready", "RETRY"),
        (PAST, FUTURE, None, 0, "HALFWAY", "reserved", "PENDING"),
        (PAST, FUTURE, None, 1, None, "reserved", "RETRY"),
        (PAST, FUTURE, PAST, 0, None, "running", "STARTED"),
        (PAST, FUTURE, PAST, 3, "", "running", "STARTED"),
        (PAST, FUTURE, PAST, 3, "HALFWAY", "running", "HALFWAY"),
    ],
)
def test_a_living_message_shows_what_its_columns_say(
    due_at: datetime | None,
    leased_until: datetime | None,
    started_at: datetime | None,
    retries: int,
    own: str | None,
    label: str,
    shown: str,
) -> None:
    columns = {"due_at": due_at, "leased_until": leased_until, "started_at": started_at}
    assert label_of_message(**columns, retries=retries, now=NOW) == label
    assert of_message(**columns, retries=retries, own_state=own, now=NOW) == shown
