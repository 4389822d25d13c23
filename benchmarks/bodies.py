"""What the tasks of all sides do, so that it is the same."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps


def add(x: int, y: int) -> int:
    """Do next to nothing."""
    return x + y


def millisecond(x: int, y: int) -> int:
    """Reckon for a millisecond."""
    return reckon(0.001, x + y)


def compute(x: int, y: int) -> int:
    """Reckon for ten milliseconds."""
    return reckon(0.01, x + y)


def wait(x: int, y: int) -> int:
    """Wait for fifty milliseconds, as for an answer from afar."""
    time.sleep(WAIT)
    return x + y


def begin(address: str) -> None:
    """Tell the caller, who listens there, when the body began."""
    began_at = time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        telling.sendto(repr(began_at).encode(), address)


def nothing() -> None:
    """Be one of the header of a chord."""


def count(values: list[object]) -> int:
    """Be the body of a chord."""
    return len(values)


def increase(number: int) -> int:
    """Be a step of a chain."""
    return number + 1


def reckon(seconds: float, value: int) -> int:
    """Keep a core busy for as long; time that others have had the core does not count."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return value


def unkept(body: Callable[..., object]) -> Callable[..., None]:
    """Let a body return nothing, where that is how to keep nothing."""

    @wraps(body)
    def silent(*args: object) -> None:
        body(*args)

    return silent


WAIT = 0.05
BODIES: dict[str, Callable[..., int | None]] = {
    body.__name__: body for body in (add, millisecond, compute, wait, begin)
}


@dataclass(frozen=True)
class Kind:
    """A kind of task: what it is called on the command line and in tables, and how many are enough for a first look."""

    name: str
    title: str
    task: str
    at_first: int


KINDS = {
    kind.name: kind
    for kind in (
        Kind("no-op", "no-op", "add", 5_000),
        Kind("1ms", "1 ms of CPU", "millisecond", 1_500),
        Kind("10ms", "10 ms of CPU", "compute", 400),
        Kind("50ms", "50 ms of waiting", "wait", 400),
    )
}
