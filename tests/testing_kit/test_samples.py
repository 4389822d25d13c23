"""The samples of the how-to are a project of their own, whose tests pass with Django's runner and with pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs" / "testing.md").read_text()
BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.M | re.S)

SETTINGS = """
SECRET_KEY = "only for the tests"
USE_TZ = True
INSTALLED_APPS = ["djtasks", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20}
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": OPTIONS, "TEST": {"NAME": NAME}}}
"""
MODELS = """
from django.db import models


class Order(models.Model):
    paid = models.BooleanField(default=False)
"""


def project(directory: Path, name: str | None) -> Path:
    """Write the project, whose test database is in memory, unless it has a name."""
    files = defaultdict(str, {"settings.py": f"NAME = {name!r}\n{SETTINGS}", "shop/models.py": MODELS})
    for package in ("shop", "shop/tests"):
        files[f"{package}/__init__.py"] = ""
    for path, source in BLOCK.findall(HOW_TO):
        files[path] += source
    for path, source in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(source)
    return directory


def run(directory: Path, *command: str) -> str:
    path = os.pathsep.join([str(directory), str(ROOT)])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": path}
    environment = {name: value for name, value in environment.items() if not name.startswith(("DJTASKS", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, *command], cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_samples_pass_with_djangos_runner_in_memory(tmp_path: Path) -> None:
    """J3."""
    said = run(
        project(tmp_path, None), "-m", "django", "test", "shop.tests.test_orders", "shop.tests.test_with_unittest"
    )
    assert "Ran 12 tests" in said


def test_samples_pass_with_pytest_and_a_worker(tmp_path: Path) -> None:
    said = run(
        project(tmp_path, str(tmp_path / "test.sqlite3")), "-m", "pytest", "-p", "djtasks.testing.plugin", "shop"
    )
    assert "15 passed" in said


def test_every_sample_is_part_of_the_project() -> None:
    assert len(BLOCK.findall(HOW_TO)) == HOW_TO.count("```python") > 10
    assert {path for path, _ in BLOCK.findall(HOW_TO)} > {"shop/tasks.py", "shop/tests/test_orders.py"}


def test_worker_in_memory_is_refused(tmp_path: Path) -> None:
    directory = project(tmp_path, None)
    with pytest.raises(AssertionError, match="a worker has connections of its own, which a database in memory stalls"):
        run(directory, "-m", "django", "test", "shop.tests.test_with_worker")
