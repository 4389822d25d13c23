"""What a command has to say: data for programs, text for people, and what went wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

WIDEST = 60


@dataclass(frozen=True)
class Report:
    """The same facts twice; ``trouble`` says why it did not work, and is empty where it did."""

    data: Any
    text: str
    trouble: str = ""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Align the rows under their head."""
    cells = [list(head), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def cell(value: Any) -> str:
    """Write a value in one line that moves no cursor."""
    if value is None or value == []:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def indented(text: str) -> str:
    """Set a text under a heading."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def ago(seconds: float) -> str:
    """Write a duration as people say it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{seconds:.0f} s"
