"""Text of unknown origin made harmless for terminals and log files (S13)."""

from __future__ import annotations

import re

# Control characters, other line breaks, marks that turn the direction of writing, and halves of surrogate pairs.
_UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_IN_LINE = re.compile(f"[\t\n{_UNSEEN}]")
_IN_LINES = re.compile(f"[{_UNSEEN}]")


def one_line(text: str) -> str:
    """Show what cannot be seen, line breaks too, as Python would write it."""
    return _IN_LINE.sub(_shown, text)


def many_lines(text: str) -> str:
    """Show what cannot be seen, and leave line breaks and tabs as they are."""
    return _IN_LINES.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
