"""The control room in the clothes of django-unfold: the same tests in a process of their own, with its settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
TESTS = ("every_page_fits", "revoked_after_a_question", "workflow_is_drawn")

# What this run has told its own processes.
OURS = ("DATABASE_", "DJTASKS", "PYTEST_", "WITHOUT_SITE")


def test_control_room_works_under_unfold() -> None:
    """On SQLite alone: the database makes no difference to clothes."""
    pytest.importorskip("unfold")
    if connection.vendor != "sqlite":
        pytest.skip("it runs with SQLite")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--ds=tests.unfold_settings",
        "--database=sqlite",
        "-p",
        "no:cacheprovider",
    ]
    chosen = ["-k", " or ".join(TESTS), "tests/browser/test_control_room.py"]
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    done = subprocess.run([*command, *chosen], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
