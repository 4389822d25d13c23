"""What becomes of workflows on SQLite, within the transaction that settles what they wait for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from djtasks.broker.vendors import sqlite_statements as sql
from djtasks.broker.vendors.sqlite_rows import Clock, Row, key_of
from djtasks.domain import workflows
from djtasks.domain.outcomes import Ending, Settlement

LONGEST = 100 * 366 * 86400.0


def inputs(raw: sqlite3.Connection, row: Row) -> str | None:
    """Read what goes before the arguments of a message."""
    if row["inputs"] not in (workflows.VALUE, workflows.LIST):
        return None
    return workflows.inputs_of(row["inputs"], (value for (value,) in raw.execute(sql.INPUTS, (row["id"],))))


def resolve(raw: sqlite3.Connection, row: Row, ending: Ending) -> Row:
    """Write how a message has ended into the edges of those who wait for it; return its row with all its arguments."""
    if row["feeds"]:
        value = (ending.value or "null") if ending.fate == workflows.SUCCESS else None
        raw.execute(sql.RESOLVE, {"id": row["id"], "fate": ending.fate, "value": value})
    if not row["inputs"]:
        return row
    args = workflows.prepended(inputs(raw, row), row["args"])
    raw.execute(sql.USED, (row["id"],))
    return {**row, "args": args, "inputs": workflows.NO_EDGES}


def unblock(raw: sqlite3.Connection, settlements: Iterable[Settlement], clock: Clock) -> None:
    """Let those come due that waited for what has succeeded, and wait for nobody any more."""
    for settlement in settlements:
        if settlement.unblocks:
            for found in raw.execute(sql.DEPENDENTS, key_of(settlement.token)).fetchall():
                raw.execute(sql.UNBLOCK, _unblocked(dict(zip(sql.COLUMNS, found, strict=True)), clock))


def _unblocked(row: Row, clock: Clock) -> Row:
    due_at, lifetime = clock.later(_seconds(row["delay"])), row["lifetime"]
    return {
        "id": row["id"],
        "due_at": max(due_at, row["eta"] or due_at),
        "expires_at": row["expires_at"] if lifetime is None else clock.later(_seconds(lifetime)),
    }


def _seconds(value: Any) -> float:
    """Read a duration; the row may have been spoilt by hand."""
    return min(float(value), LONGEST) if isinstance(value, (int, float)) and value > 0 else 0.0
