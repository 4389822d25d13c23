"""What all benchmarks read from the command line, and how they go on where a peer fails or is not there."""

from __future__ import annotations

import pytest

from benchmarks.report import Record
from benchmarks.running import failing, parse, started
from benchmarks.sides import ALL, SIDES, Servers


@pytest.fixture
def record() -> Record:
    return Record("drain", "2026-05-01T12:00:00+00:00", 2, "3.12.1", "Linux x86_64", quick=False, rounds=3)


def test_all_sides_are_measured_unless_some_are_named() -> None:
    assert tuple(parse("drain", None, [], ALL).sides) == ALL
    assert parse("drain", None, ["--sides", "huey,djtasks"], ALL).sides == ["djtasks", "huey"]


def test_tasks_are_chosen_by_their_kind() -> None:
    assert parse("drain", None, ["--tasks=50ms,no-op"], ALL).tasks == ["no-op", "50ms"]


def test_name_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse("drain", None, ["--sides", "rabbit"], ALL)
    assert "rabbit: there are djtasks, celery" in capsys.readouterr().err


def test_first_look_has_one_round() -> None:
    assert parse("drain", None, ["--quick"]).rounds == 1
    assert parse("drain", None, []).rounds == 3


def test_side_that_is_not_installed_is_left_out_with_the_reason(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SIDES["huey"], "packages", ("no-such-package",))
    with Servers() as servers:
        assert started(["huey"], servers, record) == []
    assert [str(each.reason) for each in record.lacking("drain")] == ["no-such-package is not installed here"]


def test_peer_that_fails_is_noted_and_the_others_go_on(record: Record) -> None:
    peer = object.__new__(SIDES["huey"])
    with failing(record, "drain", peer, "threads, 16"):
        raise RuntimeError("stands still")
    assert [each.reason for each in record.lacking("drain")] == ["threads, 16: failed"]


def test_our_own_failure_ends_the_run(record: Record) -> None:
    ours = object.__new__(SIDES["djtasks"])
    with pytest.raises(RuntimeError), failing(record, "drain", ours, "solo"):
        raise RuntimeError("stands still")
