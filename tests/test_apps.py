"""The app finds the tasks: in the apps' own modules, and in those that the settings name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOK = """
import django
django.setup()
from djtasks.tasks import registry
print(*registry.names())
"""


def test_modules_of_the_settings_are_imported_too(tmp_path: Path) -> None:
    for name in ("more_work", "still_more"):
        source = f"from djtasks import shared_task\n@shared_task(name='{name}')\ndef body(): ...\n"
        (tmp_path / f"{name}.py").write_text(source)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DJTASKS": '{"IMPORTS": ["more_work"], "INCLUDE": ["still_more"]}',
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    run = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, timeout=60)
    assert {"more_work", "still_more", "tests.tasks.add"} <= set(run.stdout.split()), run.stderr
