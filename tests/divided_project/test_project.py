"""A project with the queue in a database of its own: each table is in one of them, and all that there is works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.helpers import on_one_database

ROOT = Path(__file__).parents[2]


@on_one_database
def test_queue_and_data_are_apart(tmp_path: Path) -> None:
    here = {"DJANGO_SETTINGS_MODULE": "tests.divided_project.settings", "DIVIDED_PROJECT": str(tmp_path)}
    environment = {name: value for name, value in os.environ.items() if name != "WITHOUT_SITE"} | here
    command = [sys.executable, "-m", "tests.divided_project.play"]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    ours = {alias: [name for name in names if name.startswith("djtasks_")] for alias, names in told["tables"].items()}
    assert ours["default"] == [] and "djtasks_message" in ours["queue"]
    assert told["states"] == ["SUCCESS", "SUCCESS"]
    assert told["groups"] == ["at once", "after the commit"]
    assert {status for status, _ in told["pages"].values()} == {200}
    assert [name for name, (_, shown) in told["pages"].items() if shown] == ["task/", "task/…/change/"]
