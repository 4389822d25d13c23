"""How a run ended, as values: they cross the pipe from the pool as JSON and are settled by the broker."""

from __future__ import annotations

from typing import Any, NamedTuple

from djtasks.domain import states, workflows
from djtasks.domain.messages import Reservation, Token


class Success(NamedTuple):
    """The body returned ``value`` (JSON text); without ``keep`` no result is recorded."""

    value: str | None
    keep: bool = True


class Failure(NamedTuple):
    """The body raised, or the worker that ran it was lost; ``error`` is a JSON line."""

    error: str
    keep: bool = True


class Retry(NamedTuple):
    """The same message comes due again: after ``delay`` seconds, or at ``due_at`` (seconds since the epoch)."""

    error: str
    delay: float = 0.0
    due_at: float | None = None
    args: str | None = None
    kwargs: str | None = None
    queue: str | None = None
    priority: int | None = None


class Revoked(NamedTuple):
    """The message was revoked or had expired before its body began."""

    error: str


class Rejected(NamedTuple):
    """The body refused its message: back to the queue, or ended as FAILURE (TASK-4)."""

    error: str
    requeue: bool = False


class Ignored(NamedTuple):
    """The body asked that nothing be recorded (TASK-4)."""


class Replaced(NamedTuple):
    """The body put others in its place (CANV-12).

    The message itself becomes the last of them, so that whoever waits for it waits for that one. ``messages`` are the
    fields of new messages, that one's first; ``edges`` those of the edges between them.
    """

    messages: list[list[Any]]
    edges: list[list[Any]]


class Released(NamedTuple):
    """The message goes back to its queue unsettled, due in ``delay`` seconds; ``loss`` when its holder died."""

    delay: float = 0.0
    error: str = ""
    loss: bool = False


Outcome = Success | Failure | Retry | Revoked | Rejected | Ignored | Replaced | Released

KINDS: dict[str, type[Any]] = {
    "success": Success,
    "failure": Failure,
    "retry": Retry,
    "revoked": Revoked,
    "rejected": Rejected,
    "ignored": Ignored,
    "replaced": Replaced,
    "released": Released,
}
NAMES = {kind: name for name, kind in KINDS.items()}


def to_wire(outcome: Outcome) -> list[Any]:
    """Write an outcome as a JSON array that begins with its kind."""
    return [NAMES[type(outcome)], *outcome]


def from_wire(fields: list[Any]) -> Outcome:
    """Read what ``to_wire`` wrote."""
    outcome: Outcome = KINDS[fields[0]](*fields[1:])
    return outcome


class Ending(NamedTuple):
    """The row of a message that ends: what its result says, or that none is kept (``state`` None)."""

    token: Token
    state: str | None
    value: str | None
    error: str
    started_at: float | None
    fate: str


class Settlement(NamedTuple):
    """An outcome for a held message; ``started_at`` is when its body began, if it did.

    With its ``message`` it has consequences for those who wait for it.
    """

    token: Token
    outcome: Outcome
    started_at: float | None = None
    message: Reservation | None = None

    @property
    def unblocks(self) -> bool:
        """Whether all that it means for those who wait is that they wait for one less."""
        plainly = self.message is not None and self.message.feeds == workflows.FEEDS
        return plainly and isinstance(self.outcome, Success)


def ending_of(settlement: Settlement) -> Ending | None:
    """Say how a settlement ends its message, or None where the message lives on."""
    token, outcome, started_at, _ = settlement
    match outcome:
        case Success(value, keep):
            return Ending(token, states.SUCCESS if keep else None, value, "", started_at, workflows.SUCCESS)
        case Failure(error, keep):
            return Ending(token, states.FAILURE if keep else None, None, error, started_at, workflows.FAILURE)
        case Revoked(error):
            return Ending(token, states.REVOKED, None, error, started_at, workflows.REVOKED)
        case Rejected(error, requeue=False):
            return Ending(token, states.FAILURE, None, error, started_at, workflows.FAILURE)
        case Ignored():
            return Ending(token, None, None, "", started_at, workflows.IGNORED)
        case _:
            return None
