"""The figures of a run: kept, compared, shown as a table, and written as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
US, THEM = "djtasks", "celery"


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

    def __str__(self) -> str:
        spread = f"{min(self.rounds):,.1f} to {max(self.rounds):,.1f}"
        return f"{self.what:<38}{self.side:<10}{self.way:<32}{_figure(self)} {self.unit:<9}{spread}"

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
    """The best of either side at one thing; the ratio is above one where djtasks is better."""

    what: str
    ours: Series
    theirs: Series

    @property
    def ratios(self) -> list[float]:
        """Compare round by round: both sides of a round had the same weather."""
        pairs = zip(self.ours.rounds, self.theirs.rounds, strict=True)
        return [theirs / ours if self.ours.low_is_good else ours / theirs for ours, theirs in pairs]

    def as_data(self) -> dict[str, Any]:
        """All of it, for the file."""
        ratios = [round(ratio, 2) for ratio in self.ratios]
        return {
            "what": self.what,
            US: self.ours.way,
            THEM: self.theirs.way,
            "ratios": ratios,
            "median": round(statistics.median(self.ratios), 2),
            "min": min(ratios),
            "max": max(ratios),
        }

    def __str__(self) -> str:
        ratio = statistics.median(self.ratios)
        sides = f"{_figure(self.ours)} {self.ours.way:<18}{_figure(self.theirs)} {self.theirs.way:<32}"
        return f"{self.what:<38}{sides}{ratio:>6.2f} x"


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

    def note(self, what: str, unit: str, side: str, way: str, figure: float, *, one_slot: bool = False) -> None:
        """Add a figure of this round."""
        for known in self.series:
            if (known.what, known.side, known.way) == (what, side, way):
                break
        else:
            self.series.append(known := Series(what, unit, side, way, one_slot))
        known.rounds.append(figure)

    def comparisons(self) -> Iterator[Comparison]:
        """Compare the best of either side at each thing that was measured, drains also with one slot."""
        for what in dict.fromkeys(each.what for each in self.series):
            alike = [each for each in self.series if each.what == what]
            yield from _compared(what, alike)
            yield from _compared(f"{what}, one slot", [each for each in alike if each.one_slot])

    def table(self) -> str:
        """Show every way's median and spread, then the best of either side beside each other."""
        heading = f"{'best of either side, medians':<38}{US:>10} {'':<18}{THEM:>10} {'':<32}{'ratio':>8}"
        return "\n".join([*map(str, self.series), "", heading, *map(str, self.comparisons())])

    def write(self) -> Path:
        """Write all figures to a file of this day."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.started_at[:10]}-{self.name}{'-quick' * self.quick}.json"
        data = {key: value for key, value in asdict(self).items() if key != "series"}
        data["comparisons"] = [each.as_data() for each in self.comparisons()]
        data["series"] = [each.as_data() for each in self.series]
        path.write_text(json.dumps(data, indent=2) + "\n")
        return path


def quantile(figures: Sequence[float], percent: int) -> float:
    """Return the figure that so many percent do not exceed."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _compared(what: str, series: Sequence[Series]) -> Iterator[Comparison]:
    sides = [[each for each in series if each.side == side] for side in (US, THEM)]
    if all(sides):
        ours, theirs = (min(side, key=lambda each: each.median * (1 if each.low_is_good else -1)) for side in sides)
        yield Comparison(what, ours, theirs)


def _figure(series: Series) -> str:
    return f"{series.median:>10,.2f}" if series.unit == "ms" else f"{series.median:>10,.0f}"
