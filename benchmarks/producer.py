"""The calling program of a side: ``python -m benchmarks.producer SIDE HOW COUNT NAME`` prints what it measured.

NAME is that of a task, or of a workflow's shape.

It is a process of its own for each measurement, so that no side's libraries, subscriptions and garbage are there
while another is measured.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable

from benchmarks.calling import PATIENCE, Caller, caller_of
from benchmarks.listening import Listener

WARM_UP = 50
WORKFLOWS = 5
GAP = 0.02
# Where workers look now and then, a call takes as long as they sleep: fewer of them must do.
LONGEST = 30.0
FEWEST = 20


def latencies(caller: Caller, count: int) -> list[float]:
    """Return the seconds from each call to the start of its body."""
    with Listener() as listener:

        def call() -> float:
            called_at = time.monotonic()
            caller.send("begin", listener.address)
            return listener.hear(PATIENCE) - called_at

        return repeated(caller, count, call)


def round_trips(caller: Caller, count: int) -> list[float]:
    """Return the seconds from each call until its result is in the caller's hands."""

    def call() -> None:
        if (value := caller.fetch(caller.send("add", 1, 2))) != 3:
            raise RuntimeError(f"1 + 2 has the result {value}")

    return repeated(caller, count, lambda: timed(call))


def repeated(caller: Caller, count: int, call: Callable[[], float]) -> list[float]:
    """Call so often, with a gap after each, so that the worker idles, and no look of its is in step with the calls."""
    figures: list[float] = []
    end = time.monotonic() + LONGEST
    warm_up = 3 if caller.interval else WARM_UP
    while len(figures) < warm_up + count and (time.monotonic() < end or len(figures) < FEWEST):
        figures.append(call())
        time.sleep(GAP + random.uniform(0, caller.interval))
    return figures[warm_up:]


def requests(caller: Caller, count: int) -> dict[str, list[float]]:
    """Return the seconds of each of so many requests, of those that send nothing and of those that send a message."""
    from benchmarks.views import answer, prepare

    prepare(caller)
    seconds: dict[str, list[float]] = {"none": [], "one": []}
    for number in range(WARM_UP + count):
        for sending, figures in seconds.items():
            taken = timed(lambda sending=sending: answer(sending))  # type: ignore[misc]
            figures += [taken] if number >= WARM_UP else []
    return seconds


def workflows(caller: Caller, shape: str, size: int) -> list[float]:
    """Return the seconds from each call of a workflow until its last result is in the caller's hands."""

    def run(size: int) -> float:
        values: list[object] = []
        seconds = timed(lambda: values.append(caller.flow(shape, size)))
        if values != [size]:
            raise RuntimeError(f"a {shape} of {size} has the result {values}")
        return seconds

    run(WARM_UP)
    return [run(size) for _ in range(WORKFLOWS)]


def timed(function: Callable[[], object]) -> float:
    """Call the function; return the seconds that it took."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(side: str, how: str, count: int, name: str) -> object:
    """Measure one thing."""
    caller = caller_of(side)
    match how:
        case "fill":
            return timed(lambda: caller.fill(name, count))
        case "one by one":
            caller.one_by_one(name, WARM_UP)
            return timed(lambda: caller.one_by_one(name, count))
        case "in bulk":
            caller.one_by_one(name, WARM_UP)
            return {way: timed(lambda send=send: send(name, count)) for way, send in caller.ways.items()}  # type: ignore[misc]
        case "latency":
            return latencies(caller, count)
        case "round trip":
            return round_trips(caller, count)
        case "requests":
            return requests(caller, count)
        case "run":
            return workflows(caller, name, count)
        case "send":
            return caller.compose(name, count).apply_async().id
        case "beat":
            return caller.beat(count)
    raise ValueError(how)


if __name__ == "__main__":
    side, how, count, name = sys.argv[1:]
    json.dump(main(side, how, int(count), name), sys.stdout)
    sys.stdout.flush()
    # Without the end of the interpreter, at which each handle of Celery's would complain that it comes too late.
    os._exit(0)
