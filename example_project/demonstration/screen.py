"""What the terminal shows: a live table, or a line now and then where there is no terminal."""

import time
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demonstration.facts import Fact
from demonstration.run import Progress

LINE_EVERY_SECONDS = 2


class Screen:
    """The terminal while work is done; the live table stands below what is said."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._next_line_at = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def show(self, progress: Progress, state: str) -> None:
        if self._console.is_terminal:
            self._live.update(_table(progress, state), refresh=True)
        elif time.monotonic() >= self._next_line_at:
            self._next_line_at = time.monotonic() + LINE_EVERY_SECONDS
            self.say(f"{_line(progress)} · {state}")


def summary(facts: list[Fact], seconds: float) -> RenderableType:
    table = Table(title=f"What was done in {seconds:.0f} s", title_justify="left")
    table.add_column()
    table.add_column("kind", style="bold")
    table.add_column("fact")
    table.add_column("counted", justify="right")
    for fact in facts:
        mark = Text("✓", "green") if fact.holds else Text("✗", "bold red")
        table.add_row(mark, fact.kind, fact.text, fact.counted)
    return table


def _table(progress: Progress, state: str) -> RenderableType:
    table = Table("work", "waiting", "reserved", "done", "", title="djtasks at work", title_justify="left")
    for kind in progress.kinds:
        bar = ProgressBar(total=kind.total, completed=kind.done, width=30)
        table.add_row(kind.name, str(kind.waiting), str(kind.reserved), f"{kind.done} of {kind.total}", bar)
    return Group(table, Text(state))


def _line(progress: Progress) -> str:
    return " · ".join(
        f"{kind.name} {kind.done}/{kind.total} ({kind.waiting} waiting, {kind.reserved} reserved)"
        for kind in progress.kinds
    )
