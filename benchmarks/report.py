"""The figures of a run: kept, compared, shown as a table, written as JSON and read again."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

RESULTS = Path(__file__).parent / "results"
US = "djtasks"
EVERYTHING = "everything"


@dataclass
class Series:
    """What one side gave in one way, round by round."""

    what: str
    unit: str
    side: str
    way: str
    one_slot: bool
    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure to compare by."""
        return statistics.median(self.rounds)

    @property
    def low_is_good(self) -> bool:
        """Whether less is better."""
        return self.unit in ("ms", "bytes", "a minute", "bytes a minute")

    def shown(self, figure: float) -> str:
        """Write one of the figures."""
        return f"{figure:,.2f}" if self.unit == "ms" else f"{figure:,.0f}"

    def __str__(self) -> str:
        spread = f"{self.shown(min(self.rounds))} to {self.shown(max(self.rounds))}"
        return f"{self.what:<38}{self.side:<17}{self.way:<34}{self.shown(self.median):>10} {self.unit:<9}{spread}"

    def as_data(self) -> dict[str, Any]:
        """All of it, for the file."""
        rounds = [round(figure, 2) for figure in self.rounds]
        return asdict(self) | {
            "rounds": rounds,
            "median": round(self.median, 2),
            "min": min(rounds),
            "max": max(rounds),
        }


@dataclass
class Comparison:
    """Our best and a peer's best at one thing; the ratio is above one where djtasks is better."""

    what: str
    ours: Series
    theirs: Series

    @property
    def ratios(self) -> list[float]:
        """Compare round by round: all sides of a round had the same weather."""
        # A peer may have failed in one of the rounds.
        pairs = zip(self.ours.rounds, self.theirs.rounds, strict=False)
        return [theirs / ours if self.ours.low_is_good else ours / theirs for ours, theirs in pairs]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    def as_data(self) -> dict[str, Any]:
        """All of it, for the file."""
        ratios = [round(ratio, 2) for ratio in self.ratios]
        return {
            "what": self.what,
            "side": self.theirs.side,
            "ours": self.ours.way,
            "theirs": self.theirs.way,
            "ratios": ratios,
            "median": round(self.ratio, 2),
            "min": min(ratios),
            "max": max(ratios),
        }

    def __str__(self) -> str:
        ours, theirs = (f"{side.shown(side.median):>10} {side.way:<30}" for side in (self.ours, self.theirs))
        return f"{self.what:<38}{ours}{self.theirs.side:<16}{theirs}{self.ratio:>8.2f} x"


@dataclass(frozen=True)
class Absence:
    """That a side has no figure for something, and why."""

    what: str
    side: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what:<38}{self.side:<17}{'-':<3}{self.reason}"


@dataclass
class Record:
    """A run: what was measured, with what, on what."""

    name: str
    started_at: str
    cores: int
    python: str
    system: str
    quick: bool
    rounds: int
    load: list[float] = field(default_factory=list)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)

    def note(self, what: str, unit: str, side: str, way: str, figure: float, *, one_slot: bool = False) -> None:
        """Add a figure of this round."""
        for known in self.series:
            if (known.what, known.side, known.way) == (what, side, way):
                break
        else:
            self.series.append(known := Series(what, unit, side, way, one_slot))
        known.rounds.append(figure)

    def lack(self, what: str, side: str, reason: str) -> None:
        """Note once why a side has no figure here."""
        if (absence := Absence(what, side, reason)) not in self.absences:
            self.absences.append(absence)

    @property
    def things(self) -> list[str]:
        """All that was measured, in order."""
        return list(dict.fromkeys(each.what for each in self.series))

    def best(self, what: str, *, one_slot: bool = False) -> dict[str, Series]:
        """Return each side's best series at this, or the best of those with one slot."""
        found: dict[str, Series] = {}
        for each in self.series:
            if each.what == what and each.one_slot >= one_slot:
                known = found.setdefault(each.side, each)
                better = each.median < known.median if each.low_is_good else each.median > known.median
                found[each.side] = each if better else known
        return found

    def lacking(self, what: str) -> list[Absence]:
        """Return who has no figure for this."""
        measured = {each.side for each in self.series if each.what == what}
        fitting = (each for each in self.absences if each.what == EVERYTHING or f"{what},".startswith(f"{each.what},"))
        return [each for each in fitting if each.side not in measured]

    def comparisons(self) -> Iterator[Comparison]:
        """Compare our best with that of each peer at each thing that was measured, drains also with one slot."""
        for what in self.things:
            yield from _compared(what, self.best(what))
            yield from _compared(f"{what}, one slot", self.best(what, one_slot=True))

    def table(self) -> str:
        """Show every way's median and spread, what is lacking, then our best beside each peer's."""
        absences = ["", *map(str, self.absences)] if self.absences else []
        heading = f"{'best of each side, medians':<38}{US:>10} {'':<30}{'peer':<16}{'':<41}{'ratio':>8}"
        return "\n".join([*map(str, self.series), *absences, "", heading, *map(str, self.comparisons())])

    def write(self, directory: Path = RESULTS) -> Path:
        """Write all figures to a file of this day."""
        directory.mkdir(exist_ok=True)
        path = directory / f"{self.started_at[:10]}-{self.name}{'-quick' * self.quick}.json"
        data = asdict(self) | {
            "comparisons": [each.as_data() for each in self.comparisons()],
            "series": [each.as_data() for each in self.series],
        }
        path.write_text(json.dumps(data, indent=2) + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what was written."""
        data = json.loads(path.read_text())
        del data["comparisons"]
        series = [Series(**{name: each[name] for name in Series.__dataclass_fields__}) for each in data.pop("series")]
        absences = [Absence(**each) for each in data.pop("absences", [])]
        return cls(series=series, absences=absences, **data)


def quantile(figures: Sequence[float], percent: int) -> float:
    """Return the figure that so many percent do not exceed."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _compared(what: str, best: dict[str, Series]) -> Iterator[Comparison]:
    if ours := best.pop(US, None):
        # What costs nothing at all has no ratio.
        measurable = (theirs for theirs in best.values() if all([*ours.rounds, *theirs.rounds]))
        yield from (Comparison(what, ours, theirs) for theirs in measurable)
