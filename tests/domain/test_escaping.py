"""Text of unknown origin cannot forge, hide or recolour what stands around it (S13)."""

from __future__ import annotations

import pytest

from djtasks.domain.escaping import many_lines, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ÄÖ 漢字 🙂", "plain ÄÖ 漢字 🙂"),
        ("a\n[CRITICAL] x", r"a\n[CRITICAL] x"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m\x07\x00\x7f", r"\x9b31m\x07\x00\x7f"),
        ("\x85\u2028\u2029\x0b\x0c", r"\x85\u2028\u2029\x0b\x0c"),
        ("abc\u202efdp.exe\u2066", r"abc\u202efdp.exe\u2066"),
        ("\ud800\ufeff", r"\ud800\ufeff"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    """S13."""
    assert one_line(text) == shown
    assert one_line(shown) == shown
    assert shown.encode()


def test_lines_may_be_kept() -> None:
    """S13."""
    assert many_lines("a\n\tb\r\x1b") == "a\n\tb\\r\\x1b"
