"""The workflows that are measured, in the words that both sides have: ``canvas`` is ``djtasks`` or ``celery``."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

CHORDS = 5


def chord(canvas: Any, tasks: Any, members: int) -> Any:
    """So many tasks that do nothing, and a body that counts them."""
    return canvas.chord([tasks.nothing.si() for _ in range(members)], tasks.count.s())


def chain(canvas: Any, tasks: Any, steps: int) -> Any:
    """So many steps, each of which adds one to what it is handed; the first is handed 0."""
    return canvas.chain(tasks.increase.s(0), *(tasks.increase.s() for _ in range(steps - 1)))


def chord_of_chords(canvas: Any, tasks: Any, members: int) -> Any:
    """Five chords, which are the header of another one."""
    return canvas.chord([chord(canvas, tasks, members) for _ in range(CHORDS)], tasks.count.s())


def chords_in_each_other(canvas: Any, tasks: Any, members: int) -> Any:
    """Five chords, of which each but the innermost has the next one in its header."""

    def around(inner: Any, _: int) -> Any:
        return canvas.chord([*(tasks.nothing.si() for _ in range(members)), inner], tasks.count.s())

    return reduce(around, range(CHORDS - 1), chord(canvas, tasks, members))


def chords_in_a_row(canvas: Any, tasks: Any, members: int) -> Any:
    """Five chords, each of which begins when the one before has ended."""
    return reduce(or_, (chord(canvas, tasks, members) for _ in range(CHORDS)))


SHAPES: dict[str, Callable[[Any, Any, int], Any]] = {
    "chord": chord,
    "chain": chain,
    "5 chords in a chord": chord_of_chords,
    "5 chords in each other": chords_in_each_other,
    "5 chords in a row": chords_in_a_row,
}
