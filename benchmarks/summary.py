"""``docs/benchmarks.md``, written from the newest results: ``python -m benchmarks summary``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.chart import chart
from benchmarks.report import RESULTS, US, Record, Series

DOCS = Path(__file__).parents[1] / "docs"

INTRODUCTION = """\
# Benchmarks

<!-- Written by `python -m benchmarks summary` from benchmarks/results/: change it there. -->

djtasks beside its peers, in one run on one machine. `make bench` makes the environment, starts a PostgreSQL and a Redis
of its own, measures everything, and writes this page; the figures of each round lie as JSON in `benchmarks/results/`.

- All sides are measured in turns, round by round, so that all have the same weather. Each figure is the **median** of
  the rounds, beside the lowest and the highest. The ratio is the median of the rounds' ratios, above 1 where djtasks is
  better.
- Each side is shown with the setting that was its best here; `benchmarks/sides/` has all that were tried, and
  `benchmarks/apps/` the code of each side. Where a side has nothing of the kind, it has the reason instead of a figure.
- **Late** means that a message goes when its task has ended, so that what a dead worker held is run again; **early**
  that it never is.
- A drain is measured by the number of stored results, which is looked at in the same way on all sides; where a queue
  keeps no results, by what its own tables call done.
- **pgbench** is the limit: it sends our own statements, prepared, with nothing of Python around them.
- PostgreSQL writes everything to disk (`fsync` and `synchronous_commit` are on). Redis keeps nothing on disk.
"""

NOTHING_YET = """
Nothing has been measured here yet.
"""

LIMITS = """
## What this does not show

- **Your machine.** Absolute figures carry to no other machine, and not even to another hour; ratios do so better.
- **The weather.** Two rounds are few. In twenty-one rounds on this machine djtasks was 22 to 28 times as fast as Celery
  at messages that are acknowledged late (26 in the median), and in nine 2.0 to 2.9 times as fast as pgqueuer (2.6).
- **A network.** Servers, workers and callers share one machine and its cores. Where a network is in between, each round
  trip costs more, and who makes fewer of them for a task wins more than here.
- **The same safety.** The sides on Redis lose their messages with Redis; those on PostgreSQL wait for the disk.
- **The same work.** pgqueuer and procrastinate keep no results, and are measured without; they do less than the others.
- **What tasks cost you.** A task that does nothing shows the queue's own share. The longer tasks take, the less it
  matters; no queue makes them faster.
- **What their authors could do.** Peers have the best settings that their documents name and that we knew to use.
  Whoever knows better ones is welcome to send them.
- **Shorter intervals.** Workers that look now and then are measured with the intervals that they come with. With
  shorter ones they answer sooner, and ask the database more often while nothing is to be done.
- **Faults.** What happens to messages when workers, servers or machines die is not measured here, but tested in
  `tests/lifecycle/`.
- Large arguments and results, many callers at once, several machines, MySQL, SQLite.
- Workflows of those sides that have none which hands results on, and any beat but Celery's.
"""

# The page has these, in this order; what djtasks alone can do stands in how-far-it-goes.
SECTIONS = {
    "drain": "How fast messages are taken in and worked off, and how soon an idle worker begins.",
    "workflows": "How long a workflow takes from the call to its last result.",
    "requests": "How long a request of Django's takes that writes a row, and may send a message with the same commit.",
    "schedules": "How long one beat takes to send what is due at the same moment.",
    "waiting": "How fast queues on PostgreSQL are worked off while many wait, and while a report holds a snapshot.",
    "idle": "What a worker with two processes costs while there is nothing to do, and how long it takes to begin.",
}
CHARTED = {
    "drain": (
        "drain, late acknowledgement",
        "drain, early acknowledgement",
        "enqueue one by one",
        "enqueue in bulk",
        "call to start of body, p50",
    ),
    "requests": ("request, which sends a message",),
}


def main() -> int:
    """Write the page and its charts."""
    records = newest(RESULTS)
    path = write(records, DOCS)
    print(f"written to {path}, from {len(records)} results")
    return 0


def newest(directory: Path) -> list[Record]:
    """Read the last result of each benchmark, but for first looks."""
    found: dict[str, Record] = {}
    for path in sorted(directory.glob("*.json")):
        record = Record.read(path)
        if not record.quick:
            found[record.name] = record
    return [found[name] for name in SECTIONS if name in found]


def write(records: Sequence[Record], docs: Path) -> Path:
    """Write the page and its charts there."""
    (docs / "images").mkdir(parents=True, exist_ok=True)
    for record in records:
        if things := CHARTED.get(record.name):
            (docs / "images" / f"benchmark-{record.name}.svg").write_text(chart(record, things))
    path = docs / "benchmarks.md"
    path.write_text(page(records))
    return path


def page(records: Sequence[Record]) -> str:
    """Say everything that was measured, and what that does not show."""
    sections = [section for record in records for section in _sections(record)] or [NOTHING_YET]
    return "".join([INTRODUCTION, *sections, LIMITS])


def _sections(record: Record) -> Iterator[str]:
    machine = f"{record.cores} cores, {record.system}, Python {record.python}"
    load = f"; load at the start of each: {', '.join(map(str, record.load))}" if record.load else ""
    yield f"\n## {record.name.capitalize()}\n\n{SECTIONS[record.name]}\n"
    yield f"Measured {record.started_at[:10]}; {machine}; {record.rounds} rounds{load}.\n"
    if record.name in CHARTED:
        yield f"\n![The best of each side](images/benchmark-{record.name}.svg)\n"
    for thing in record.things:
        yield _table(thing, record, record.best(thing))
        if len(one_slot := record.best(thing, one_slot=True)) > 1:
            yield _table(f"{thing}, one slot", record, one_slot)
    yield "\nVersions: " + "; ".join(_versions(record)) + ".\n"


def _table(title: str, record: Record, best: dict[str, Series]) -> str:
    ratios = {each.theirs.side: each.ratio for each in record.comparisons() if each.what == title}
    unit = next(iter(best.values())).unit
    lines = [f"\n### {title.capitalize()}\n", f"| {unit} | median | lowest to highest | with | ratio |"]
    lines.append("| --- | ---: | ---: | --- | ---: |")
    for each in best.values():
        figures = f"{each.shown(each.median)} | {each.shown(min(each.rounds))} to {each.shown(max(each.rounds))}"
        side = f"**{US}**" if each.side == US else each.side
        lines.append(f"| {side} | {figures} | {each.way} | {_ratio(ratios.get(each.side))} |")
    lines += [f"| {each.side} | - | | {each.reason} | |" for each in record.lacking(title)]
    return "\n".join(lines) + "\n"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:,.2f} x" if ratio < 10 else f"{ratio:,.0f} x"


def _versions(record: Record) -> Iterable[str]:
    """Name each program once."""
    versions = {name: version for side in record.versions.values() for name, version in side.items()}
    return (f"{name} {version}" for name, version in versions.items())
