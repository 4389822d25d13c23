"""Values from rows as text that people may read: bounded, and with what cannot be seen made visible (S5, S13)."""

from __future__ import annotations

import json
from typing import Any

from djtasks.domain import payloads
from djtasks.domain.escaping import many_lines

MOST_BYTES = 256 * 1024


def as_text(value: Any) -> str:
    """Write a value as indented JSON; a text that could not be read as it stands."""
    text = value if isinstance(value, str) else _as_json(value)
    return many_lines(payloads.printable(text, MOST_BYTES))


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
