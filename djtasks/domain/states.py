"""The states that callers see, their order, and how a message's columns tell them."""

from __future__ import annotations

from datetime import datetime

PENDING = "PENDING"
RECEIVED = "RECEIVED"
STARTED = "STARTED"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
RETRY = "RETRY"
REVOKED = "REVOKED"
REJECTED = "REJECTED"
IGNORED = "IGNORED"

READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
UNREADY_STATES = frozenset({PENDING, RECEIVED, STARTED, REJECTED, RETRY})
EXCEPTION_STATES = frozenset({RETRY, FAILURE, REVOKED})
PROPAGATE_STATES = frozenset({FAILURE, REVOKED})
ALL_STATES = READY_STATES | UNREADY_STATES | {IGNORED}

# From the highest to the lowest; None stands for every custom state (RES-2).
PRECEDENCE = (SUCCESS, FAILURE, None, REVOKED, STARTED, RECEIVED, REJECTED, RETRY, PENDING)

BLOCKED = "blocked"
DELAYED = "delayed"
RETRYING = "retrying"
READY = "ready"
RESERVED = "reserved"
RUNNING = "running"


def precedence(state: str | None) -> int:
    """Return the place of a state in the order; the smaller number goes before."""
    return _PLACES.get(state, _CUSTOM)


class state(str):
    """A state that compares by precedence: ``state("PENDING") < state("SUCCESS")``."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return precedence(self) > precedence(other)

    def __le__(self, other: str) -> bool:
        return precedence(self) >= precedence(other)

    def __gt__(self, other: str) -> bool:
        return precedence(self) < precedence(other)

    def __ge__(self, other: str) -> bool:
        return precedence(self) <= precedence(other)


def of_message(
    *,
    due_at: datetime | None,
    leased_until: datetime | None,
    started_at: datetime | None,
    retries: int,
    own_state: str | None,
    now: datetime,
) -> str:
    """Return the state of a living message as callers see it."""
    match label_of_message(due_at=due_at, leased_until=leased_until, started_at=started_at, retries=retries, now=now):
        case "running":
            return own_state or STARTED
        case "blocked":
            return PENDING
        case _:
            return RETRY if retries else PENDING


def label_of_message(
    *, due_at: datetime | None, leased_until: datetime | None, started_at: datetime | None, retries: int, now: datetime
) -> str:
    """Return the word of the admin for what a living message waits for."""
    if leased_until is not None and leased_until > now:
        return RUNNING if started_at is not None else RESERVED
    if due_at is None:
        return BLOCKED
    if due_at > now:
        return RETRYING if retries else DELAYED
    return READY


_PLACES = {state: place for place, state in enumerate(PRECEDENCE)}
_CUSTOM = PRECEDENCE.index(None)
