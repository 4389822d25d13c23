"""What a run of the benchmarks leaves behind: the table, the file, the chart, the page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import summary
from benchmarks.chart import Scale, chart
from benchmarks.report import EVERYTHING, RESULTS, Record, quantile

LATE = "drain, late acknowledgement"
BEGIN = "call to start of body, p50"


@pytest.fixture
def record() -> Record:
    """Return a run of three rounds with three sides, one of which has no late acknowledgement."""
    record = Record("drain", "2026-05-01T12:00:00+00:00", 2, "3.12.1", "Linux x86_64", quick=False, rounds=3)
    record.versions = {"djtasks": {"djtasks": "1.0", "Django": "6.0"}, "huey": {"huey": "3.5"}, "celery": {}}
    rates = {
        ("djtasks", "processes, 2"): (40_000, 50_000, 45_000),
        ("djtasks", "solo"): (20_000, 20_000, 20_000),
        ("celery", "prefork, 2"): (900, 1_000, 800),
        ("celery", "solo"): (500, 400, 600),
    }
    for (side, way), rounds in rates.items():
        for rate in rounds:
            record.note(LATE, "tasks/s", side, way, rate, one_slot=way == "solo")
    for side, milliseconds in (("djtasks", 2.0), ("celery", 3.0), ("huey", 1.0)):
        record.note(BEGIN, "ms", side, "processes, 2", milliseconds)
    record.lack(LATE, "huey", "a message is gone when a worker has taken it")
    return record


def parse(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)  # noqa: S314, it is ours


def test_best_of_each_side_is_by_the_median_and_by_what_is_good(record: Record) -> None:
    assert {side: each.way for side, each in record.best(LATE).items()} == {
        "djtasks": "processes, 2",
        "celery": "prefork, 2",
    }
    record.note(BEGIN, "ms", "celery", "solo", 2.5)
    assert record.best(BEGIN)["celery"].way == "solo"


def test_ratios_are_made_round_by_round_and_rise_with_ours(record: Record) -> None:
    late, one_slot, *latencies = record.comparisons()
    assert late.ratios == pytest.approx([40_000 / 900, 50, 45_000 / 800])
    assert (one_slot.what, one_slot.ratio) == (f"{LATE}, one slot", 40)
    assert {each.theirs.side: each.ratio for each in latencies} == {"celery": 1.5, "huey": 0.5}


def test_a_peer_that_failed_in_a_round_is_still_compared(record: Record) -> None:
    record.best(LATE)["celery"].rounds.pop()
    assert len(next(record.comparisons()).ratios) == 2


def test_what_costs_nothing_has_no_ratio(record: Record) -> None:
    for side, writes in (("djtasks", 0), ("celery", 5)):
        record.note("idle, writes", "a minute", side, "processes, 2", writes)
    assert "idle, writes" not in [each.what for each in record.comparisons()]


def test_what_is_lacking_is_noted_once_and_shown_with_its_reason(record: Record) -> None:
    record.lack(LATE, "huey", "a message is gone when a worker has taken it")
    record.lack(EVERYTHING, "dramatiq", "dramatiq is not installed here")
    assert [each.side for each in record.lacking(LATE)] == ["huey", "dramatiq"]
    assert [each.side for each in record.lacking(BEGIN)] == ["dramatiq"]
    assert "a message is gone when a worker has taken it" in record.table()


def test_table_shows_each_way_and_each_peer(record: Record) -> None:
    table = record.table()
    for text in ("45,000 tasks/s", "40,000 to 50,000", "prefork, 2", "50.00 x", "1.50 x", "40.00 x"):
        assert text in table


def test_file_has_all_that_was_measured(record: Record, tmp_path: Path) -> None:
    path = record.write(tmp_path)
    assert path.name == "2026-05-01-drain.json"
    assert Record.read(path) == record


def test_chart_is_well_formed_and_has_a_dot_for_each_side(record: Record) -> None:
    drawing = parse(chart(record, (LATE, BEGIN, "what nobody measured")))
    circles = list(drawing.iter("{http://www.w3.org/2000/svg}circle"))
    assert [each.get("class") for each in circles] == ["ours", "peer", "peer", "ours", "peer"]
    assert float(circles[0].get("cx", 0)) > float(circles[1].get("cx", 0))
    assert "prefers-color-scheme:dark" in "".join(drawing.itertext())


def test_chart_says_nothing_that_a_page_could_take_for_markup(record: Record) -> None:
    record.note(LATE, "tasks/s", "<side>", "a & b", 1.0)
    assert "<side>" in "".join(parse(chart(record, (LATE,))).itertext())


@pytest.mark.parametrize(
    ("figures", "scale"), [([3, 4], (0, 1)), ([0.5, 250], (-1, 3)), ([10], (1, 2)), ([0], (-3, -2))]
)
def test_scale_goes_around_all_figures(figures: list[float], scale: tuple[int, int]) -> None:
    assert Scale.around(figures) == Scale(*scale)


def test_page_has_figures_reasons_versions_and_what_it_does_not_show(record: Record, tmp_path: Path) -> None:
    page = summary.write([record], tmp_path).read_text()
    for text in (
        "| **djtasks** | 45,000 | 40,000 to 50,000 | processes, 2 |  |",
        "| celery | 900 | 800 to 1,000 | prefork, 2 | 50 x |",
        "| huey | - | | a message is gone when a worker has taken it | |",
        "djtasks 1.0; Django 6.0; huey 3.5",
        "(images/benchmark-drain.svg)",
        "## What this does not show",
    ):
        assert text in page
    assert (tmp_path / "images" / "benchmark-drain.svg").exists()


def test_page_takes_the_newest_result_and_no_first_look(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path)
    record.started_at = "2026-05-02T12:00:00+00:00"
    record.write(tmp_path)
    record.started_at, record.quick = "2026-05-03T12:00:00+00:00", True
    record.write(tmp_path)
    assert [each.started_at[:10] for each in summary.newest(tmp_path)] == ["2026-05-02"]


def test_page_of_no_results_says_so() -> None:
    assert "Nothing has been measured here yet" in summary.page([])


def test_page_in_the_docs_is_that_of_the_results() -> None:
    assert (summary.DOCS / "benchmarks.md").read_text() == summary.page(summary.newest(RESULTS))


def test_quantile_is_one_of_the_figures() -> None:
    assert [quantile([4, 1, 3, 2], percent) for percent in (0, 50, 99)] == [1, 3, 4]
