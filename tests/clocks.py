"""Clocks that are wrong: libfaketime, for a process of the tests or for a server."""

from __future__ import annotations

from pathlib import Path

import pytest

PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime", "/opt/homebrew/lib/faketime")


def faketime(told: str | Path) -> dict[str, str]:
    """Return the environment of a process whose clock shows another time: "+3600s", or what a file says at the time."""
    found = [library for place in PLACES for library in Path("/").glob(f"{place[1:]}/libfaketime.so.1")]
    if not found:
        pytest.skip("libfaketime IS NOT INSTALLED, so nothing is known of wrong clocks: apt-get install faketime")
    where = {"FAKETIME_TIMESTAMP_FILE": str(told)} if isinstance(told, Path) else {"FAKETIME": told}
    # Who waits for so many seconds waits for so many.
    quirks = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
    return {"LD_PRELOAD": str(found[0]), **quirks, **where}
