"""The figures of a run as SVG: without scripts, readable on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.report import US, Record, Series

WIDTH = 860
LABELS = 130
PLOT = 400
ROW = 22
HEAD = 54

STYLE = """\
text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600}.quiet{fill:#59636e}.grid{stroke:#d1d9e0}
.peer{fill:#6e7781;stroke:#6e7781}.ours{fill:#0969da;stroke:#0969da}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.quiet{fill:#9198a1}.grid{stroke:#3d444d}
.peer{fill:#9198a1;stroke:#9198a1}.ours{fill:#4493f8;stroke:#4493f8}}"""


@dataclass(frozen=True)
class Scale:
    """Powers of ten beside each other, so that what differs a hundredfold can be seen in one picture."""

    low: int
    high: int

    @classmethod
    def around(cls, figures: Iterable[float]) -> Scale:
        """Return a scale on which all these lie."""
        powers = [math.log10(max(figure, 0.001)) for figure in figures]
        low = math.floor(min(powers))
        return cls(low, max(math.ceil(max(powers)), low + 1))

    def place(self, figure: float) -> float:
        """Return how far to the right a figure lies."""
        return LABELS + PLOT * (math.log10(max(figure, 0.001)) - self.low) / (self.high - self.low)


def chart(record: Record, things: Sequence[str]) -> str:
    """Draw the best of each side at each of these: a dot for the median, a line from the lowest to the highest."""
    panels = [(thing, best) for thing in things if (best := _in_order(record.best(thing)))]
    height = sum(HEAD + ROW * len(best) for _, best in panels) + 10
    top = 0
    drawn: list[str] = []
    for thing, best in panels:
        drawn += _panel(thing, best, top)
        top += HEAD + ROW * len(best)
    sizes = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    label = f'role="img" aria-label="{escape(record.name)}: medians of {record.rounds} rounds"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {sizes} {label}>', f"<style>{STYLE}</style>", *drawn, "</svg>"]
    return "\n".join(lines) + "\n"


def _in_order(best: dict[str, Series]) -> list[Series]:
    """Return the best side first."""
    return sorted(best.values(), key=lambda each: each.median * (1 if each.low_is_good else -1))


def _panel(thing: str, best: Sequence[Series], top: int) -> Iterator[str]:
    scale = Scale.around(figure for each in best for figure in each.rounds)
    better = "less is better" if best[0].low_is_good else "more is better"
    yield _text(0, top + 20, f"{thing} ({best[0].unit}; {better})", "head")
    for power in range(scale.low, scale.high + 1):
        x = scale.place(10**power)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 42}" y2="{top + HEAD + ROW * len(best) - 8}"/>'
        yield _text(x, top + 38, f"{10**power:,}", "quiet", "middle")
    for number, each in enumerate(best):
        yield from _row(each, scale, top + HEAD + ROW * number)


def _row(each: Series, scale: Scale, top: int) -> Iterator[str]:
    whose = "ours" if each.side == US else "peer"
    low, middle, high = (scale.place(figure) for figure in (min(each.rounds), each.median, max(each.rounds)))
    yield _text(LABELS - 14, top + 5, each.side, "head" if each.side == US else "", "end")
    yield f'<line class="{whose}" stroke-width="3" x1="{low:.1f}" x2="{high:.1f}" y1="{top}" y2="{top}"/>'
    yield f'<circle class="{whose}" cx="{middle:.1f}" cy="{top}" r="5"/>'
    yield _text(LABELS + PLOT + 90, top + 5, each.shown(each.median), "head" if each.side == US else "", "end")
    yield _text(LABELS + PLOT + 104, top + 5, each.way, "quiet")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
