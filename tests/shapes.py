"""Workflows of all shapes, and what comes out of them: run eagerly, by a worker in this process, and by real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from djtasks import chain, chord, group, signature
from djtasks.exceptions import ChordError
from tests.tasks import add, fail, fail_twice, give_ignored, show, total

Shape = Callable[[], Any]


def one_to(count: int) -> list[Any]:
    return [add.s(number, 0) for number in range(1, count + 1)]


def linked(task: Any, callback: Any) -> Any:
    task.link(callback)
    return task


# CANV-1: what is partial, and what is not.
PARTIAL: dict[str, tuple[Shape, Any]] = {
    "one": (lambda: add.s(1, 2), 3),
    "value before own arguments": (lambda: add.s(1, 2) | show.s("own", key="word"), [[3, "own"], {"key": "word"}]),
    "immutable": (lambda: add.s(1, 2) | show.si("own"), [["own"], {}]),
    "partial chain": (lambda: (show.s(2) | show.s()).clone((1,)), [[[[1, 2], {}]], {}]),
    "partial canvases": (
        lambda: chain(
            show.s(1).clone(kwargs={"a": 1}) | show.s().clone(kwargs={"b": 2}),
            chord([show.s(2)], show.s()).clone(kwargs={"c": 3}),
        ).clone((0,), {"d": 4}),
        [[[[[[[[[0, 1], {"a": 1, "d": 4}]], {"b": 2}], 2], {"c": 3}]]], {}],
    ),
    "partial by name": (lambda: show.s(a=1).clone(kwargs={"b": 2}), [[], {"a": 1, "b": 2}]),
    "by its name alone": (lambda: add.s(1, 1) | signature("tests.tasks.add", args=(4,)), 6),
    "an immutable chain": (lambda: add.s(1, 2) | chain(show.s("own")).set(immutable=True), [["own"], {}]),
    "an immutable chain in a group": (
        lambda: chain(add.s(1, 2), group(chain(show.s("own"), show.s()).set(immutable=True), show.s())),
        [[[[["own"], {}]], {}], [[3], {}]],
    ),
}

# CANV-4.
CHAINS: dict[str, tuple[Shape, Any]] = {
    "chain": (lambda: chain(add.s(1, 1), add.s(4), add.s(8)), 14),
    "chain of one": (lambda: chain(add.s(1, 1)), 2),
    "chain of a generator": (lambda: chain(add.s(*[1] * (2 if not each else 1)) for each in range(5)), 6),
    "chain in a chain": (lambda: chain(add.s(1, 1), chain(add.s(1), chain(add.s(1))), add.s(1)), 5),
    "chain after a chain": (lambda: (add.s(1, 1) | add.s(1)) | (add.s(1) | add.s(1)), 5),
    "no value": (lambda: chain(show.s(), show.s(None)), [[[[], {}], None], {}]),
    "failure at first": (lambda: chain(fail.s("early"), show.s(), show.s()), ValueError),
    "failure in the middle": (lambda: chain(add.s(1, 1), fail.si("late"), show.s()), ValueError),
    "retries in the middle": (lambda: chain(add.s(1, 1), fail_twice.si(), add.s(1)), 3),
    "ignored in the middle": (lambda: chain(add.s(1, 1), give_ignored.s(), add.s(1)), 3),
}

# CANV-5.
GROUPS: dict[str, tuple[Shape, Any]] = {
    "group": (lambda: group(one_to(3)), [1, 2, 3]),
    "group of a generator": (lambda: group(add.s(each, each) for each in range(3)), [0, 2, 4]),
    "empty group": (lambda: group([]), []),
    "empty generator": (lambda: group(each for each in ()), []),
    "group of one": (lambda: group(add.s(1, 1)), [2]),
    "group in a group": (lambda: group(add.s(1, 1), group(add.s(2, 2), group(add.s(3, 3))), add.s(4, 4)), [2, 4, 6, 8]),
    "partial group": (lambda: group(add.s(1), show.s(2)).clone((7,)), [8, [[7, 2], {}]]),
    "group with a limit": (lambda: group(one_to(5), limit=2), [1, 2, 3, 4, 5]),
    "group of chains": (lambda: group(add.s(1, 1) | add.s(1), add.s(2, 2) | add.s(2)), [3, 6]),
    "group of chains that end in groups": (
        lambda: group(chain(add.s(1, 1), group(add.s(1), add.s(2))), add.s(9, 9)),
        [[3, 4], 18],
    ),
    "group of chords": (lambda: group(chord(one_to(2), total.s()), chord(one_to(3), total.s())), [3, 6]),
    "failure in a group": (lambda: group(add.s(1, 1), fail.s()), ValueError),
}

# CANV-6 to CANV-9.
CHORDS: dict[str, tuple[Shape, Any]] = {
    "chord": (lambda: chord(one_to(3), total.s()), 6),
    "chord of a generator": (lambda: chord((add.s(each, each) for each in range(3)), total.s()), 6),
    "chord of one": (lambda: chord([add.s(2, 2)], total.s()), 4),
    "empty chord": (lambda: chord([], show.s("own")), [[[], "own"], {}]),
    "empty chord, immutable body": (lambda: chord([], show.si("own")), [["own"], {}]),
    "immutable body": (lambda: chord(one_to(2), show.si("own")), [["own"], {}]),
    "group | task": (lambda: group(one_to(3)) | total.s(), 6),
    "group | chain": (lambda: group(one_to(3)) | (total.s() | add.s(1)), 7),
    "chain that ends in a group | task": (lambda: add.s(1, 1) | group(add.s(1), add.s(2)) | total.s(), 7),
    "chord | task": (lambda: chord(one_to(3), total.s()) | add.s(1), 7),
    "group | group": (lambda: group(one_to(2)) | group(total.s(), show.s()), [3, [[[1, 2]], {}]]),
    "group | group | task": (lambda: group(one_to(2)) | group(total.s(), total.s()) | total.s(), 6),
    "group | immutable group": (lambda: group(one_to(2)) | group(show.si(1), show.si(2)), [[[1], {}], [[2], {}]]),
    "group | chord": (lambda: group(one_to(2)) | chord([total.s(), total.s()], total.s()), 6),
    "chord whose body is a group": (lambda: chord(one_to(2), group(total.s(), total.s())), [3, 3]),
    "chord in a header": (lambda: chord([add.s(1, 1), chord(one_to(2), total.s())], total.s()), 5),
    "chord in a body": (lambda: chord(one_to(2), chord([total.s(), total.s()], total.s())), 6),
    "chain in a header": (lambda: chord([add.s(1, 1) | add.s(1), add.s(1, 1)], total.s()), 5),
    "group in a header": (lambda: chord([group(one_to(2)), add.s(1, 1)], total.s()), 5),
    "three deep": (
        lambda: chain(
            group(chain(add.s(1, 1), group(add.s(1), chord([add.s(2), add.s(3)], total.s())), total.s()), add.s(1, 1)),
            total.s(),
        ),
        14,
    ),
    "retries in a header": (lambda: chord([fail_twice.s(), add.s(1, 1)], total.s()), 4),
    "ignored in a header": (lambda: chord([give_ignored.s(1), add.s(1, 1)], total.s()), 3),
    "map in a header": (
        lambda: chord([total.map([[1, 2], [3]]), add.starmap([(1, 1)])], show.s()),
        [[[[3, 3], [2]]], {}],
    ),
    "empty group in the middle": (lambda: add.s(1, 1) | group([]) | add.s(1), 3),
    "empty generator in the middle": (lambda: chain(add.s(1, 1), group(each for each in ()), show.s()), [[[]], {}]),
    "failure in a header": (lambda: chord([add.s(1, 1), fail.s()], total.s()), ChordError),
    "failure in a header, immutable body": (lambda: chord([add.s(1, 1), fail.s()], show.si()), ChordError),
    "failure in the header before": (lambda: chord([add.s(1, 1), fail.s()], total.s()) | add.s(1), ChordError),
    "failure in the group before": (lambda: group(fail.s(), fail.s()) | group(total.s(), total.s()), ChordError),
    "failure in the chord before": (lambda: chord([chord([fail.s()], total.s())], total.s()), ChordError),
}

# CANV-11.
MAPS: dict[str, tuple[Shape, Any]] = {
    "map": (lambda: total.map([[1, 2], [3, 4]]), [3, 7]),
    "starmap": (lambda: add.starmap([(1, 2), (3, 4)]), [3, 7]),
    "chunks": (lambda: add.chunks([(each, each) for each in range(5)], 2), [[0, 2], [4, 6], [8]]),
    "chunks of a generator": (lambda: add.chunks(((each, each) for each in range(3)), 2), [[0, 2], [4]]),
    "chunks as a header": (lambda: chord(add.chunks([(1, 1), (2, 2), (3, 3)], 2), show.s()), [[[[2, 4], [6]]], {}]),
    "chunks, then a task": (lambda: add.chunks([(1, 1), (2, 2)], 1) | show.s(), [[[[2], [4]]], {}]),
    "failure in a map": (lambda: fail.map(["no"]), ValueError),
}

SHAPES = {**PARTIAL, **CHAINS, **GROUPS, **CHORDS, **MAPS}
each_shape = pytest.mark.parametrize("shape", SHAPES)


def outcome(result: Any) -> Any:
    """Return the value of a result, or the class of its error."""
    try:
        return result.get(timeout=60)
    except Exception as error:
        return type(error)
