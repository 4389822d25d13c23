"""What each side says of itself is what the programs rely on, whether or not its packages are here."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benchmarks.bodies import BODIES, KINDS
from benchmarks.drain import MODES, interleaved
from benchmarks.draining import Draining, TooShort
from benchmarks.install import requirements_of
from benchmarks.sides import SIDES, Djtasks, OnPostgres, Side


@pytest.fixture(params=list(SIDES))
def side(request: pytest.FixtureRequest) -> type[Side]:
    return SIDES[request.param]


def test_side_has_workers_for_all_that_is_measured(side: type[Side]) -> None:
    assert {side.of_latency, side.of_computing, side.of_waiting, *side.of_workflows} <= set(side.workers)
    assert side.one_slot <= set(side.workers)
    many_at_once = issubclass(side, OnPostgres) and "enqueue in bulk" not in side.lacks
    assert (side.of_backlogs in side.workers) == many_at_once


def test_side_is_drained_in_each_mode_or_says_why_not(side: type[Side]) -> None:
    assert set(side.modes) ^ (set(side.lacks) & set(MODES)) == set(MODES)
    assert not set(side.modes) & set(side.lacks)


def test_side_has_an_app(side: type[Side]) -> None:
    assert find_spec(f"benchmarks.apps.{side.name.replace('-', '_')}")


def test_missing_package_is_named(side: type[Side], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "packages", ("Django", "no-such-package"))
    assert side.missing() == "no-such-package is not installed here"
    monkeypatch.setattr(side, "packages", ("Django",))
    assert not side.missing()


def test_kinds_have_bodies() -> None:
    assert {kind.task for kind in KINDS.values()} | {"begin"} == set(BODIES)


def test_workers_of_all_sides_take_turns() -> None:
    few, many = object.__new__(SIDES["django-tasks-db"]), object.__new__(Djtasks)
    names = [(side.name, workers) for side, workers in interleaved([many, few])]
    assert names[:4] == [
        ("djtasks", "processes, 2"),
        ("django-tasks-db", "2 processes"),
        ("djtasks", "processes, 8"),
        ("django-tasks-db", "1 process"),
    ]
    assert len(names) == len(many.workers) + len(few.workers)


def test_speed_is_that_of_the_window() -> None:
    looks = [(0.0, 0), (10.0, 1), (11.0, 100), (12.0, 300), (13.0, 500), (14.0, 700), (20.0, 800)]
    assert Draining(1.0, 3.0).speed(looks, 800) == 200


def test_drain_without_a_window_says_how_many_would_do() -> None:
    with pytest.raises(TooShort, match="2,800 messages are needed"):
        Draining(1.0, 3.0).speed([(0.0, 0), (10.0, 10), (11.0, 200), (12.0, 1000)], 1000)


def test_requirements_are_those_of_the_extra() -> None:
    known = ['huey>=3; extra == "peers"', 'ox; python_version >= "3.12" and extra == "peers"', 'rich; extra == "test"']
    assert requirements_of("peers", known) == ["huey>=3", 'ox; python_version >= "3.12"']
