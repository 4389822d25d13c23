"""A project of django-tasks-db moves over by one word in its settings: its results are the same before and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from djtasks.compat import HAS_TASKS
from tests.helpers import on_one_database

ROOT = Path(__file__).parents[2]
BEFORE = ("django_tasks_db.DatabaseBackend", "db_worker", "--batch", "--queue-name=*", "--no-startup-delay")
AFTER = ("djtasks.backend.DjtasksBackend", "runworker", "--burst", "--concurrency=1")


def play(directory: Path, backend: str, *worker: str) -> list[dict[str, Any]]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.moved_project.settings",
        "SHOP_DATABASE": str(directory / f"{backend}.sqlite3"),
        "SHOP_BACKEND": backend,
    }
    command = [sys.executable, "-m", "tests.moved_project.play", *worker]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    told: list[dict[str, Any]] = json.loads(run.stdout)
    return told


@on_one_database
@pytest.mark.skipif(not (HAS_TASKS and find_spec("django_tasks_db")), reason="django-tasks-db is not installed")
def test_one_word_changes_and_no_result_does(tmp_path: Path) -> None:
    before, after = play(tmp_path, *BEFORE), play(tmp_path, *AFTER)
    assert [result["status"] for result in after] == ["SUCCESSFUL"] * 4 + ["FAILED", "SUCCESSFUL", "FAILED", "READY"]
    assert before == after
