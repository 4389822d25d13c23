"""One drain: a full queue is worked off and looked at, until it is known how fast that goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.bodies import KINDS
from benchmarks.programs import Program
from benchmarks.sides import Side

SHORTEST_PAUSE = 0.02
# Looking costs the server something: at most this share of one core, on any side.
LOOKING_SHARE = 0.05
PATIENCE = 60.0
Look = tuple[float, int]


class TooShort(Exception):
    """A drain was over before it could be measured; says how many messages would do."""

    def __init__(self, enough: int) -> None:
        super().__init__(f"{enough:,} messages are needed")
        self.enough = enough


class Draining:
    """Drains as long as it takes to have a window of so many seconds, and remembers how many messages that needs."""

    def __init__(self, warm_up: float, window: float, shorter: int = 1) -> None:
        self.warm_up = warm_up
        self.window = window
        self.shorter = shorter
        self._enough: dict[tuple[str, ...], int] = {}

    def rate(self, side: Side, workers: str, mode: str, kind: str) -> float:
        """Return how many tasks a second these workers run."""
        case = side.name, workers, mode, kind
        while True:
            count = self._enough.setdefault(case, KINDS[kind].at_first // self.shorter)
            try:
                return self.drain(side, workers, mode, kind, count)
            except TooShort as error:
                self._enough[case] = error.enough

    def drain(self, side: Side, workers: str, mode: str, kind: str, count: int) -> float:
        """Work off so many messages; return how many a second."""
        side.clear()
        side.produce("fill", count, KINDS[kind].task + side.modes[mode])
        if side.left() != count:
            raise RuntimeError(f"{side.title} holds {side.left()} messages of {count}")
        ended = side.results if "no result" not in mode else lambda: count - side.left()
        with side.working(workers) as programs:
            looks = watch(side.title, ended, count, programs)
            wait_for_nothing_left(side, workers)
        return self.speed(looks, count)

    def speed(self, looks: Sequence[Look], count: int) -> float:
        """Return the tasks a second in the window that these looks leave."""
        running = [look for look in looks if 0 < look[1] < count]
        first = running[0][0] if running else looks[-1][0]
        window = [look for look in running if look[0] >= first + self.warm_up]
        seconds = window[-1][0] - window[0][0] if len(window) > 1 else 0.0
        if seconds < self.window:
            whole = max(looks[-1][0] - first, SHORTEST_PAUSE)
            raise TooShort(int(count * min(10.0, max(1.3, (self.warm_up + self.window) / whole * 1.4))))
        return (window[-1][1] - window[0][1]) / seconds


def watch(title: str, ended: Callable[[], int], count: int, programs: Sequence[Program]) -> list[Look]:
    """Look until all have ended; return what was seen when."""
    looks: list[Look] = []
    while not looks or looks[-1][1] < count:
        for program in programs:
            program.check()
        asked_at = time.monotonic()
        seen, now = ended(), time.monotonic()
        if not looks or seen > looks[-1][1]:
            moved_at = now
        if now - moved_at > PATIENCE:
            raise RuntimeError(f"{title} stands at {seen} ended of {count}")
        looks.append(((asked_at + now) / 2, seen))
        time.sleep(max(SHORTEST_PAUSE, (now - asked_at) / LOOKING_SHARE))
    return looks


def wait_for_nothing_left(side: Side, workers: str) -> None:
    """Wait for the last acknowledgement, which some write after the result."""
    deadline = time.monotonic() + PATIENCE
    while side.left():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{side.title}, {workers}: {side.left()} messages are left though all have ended")
        time.sleep(SHORTEST_PAUSE)
