"""The plugin is imported in every run of pytest, also in those that have nothing to do with Django."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import djtasks.testing

ROOT = Path(__file__).parents[2]


def test_plugin_needs_no_django() -> None:
    look = "import djtasks.testing.plugin, sys; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", look], check=True, cwd=ROOT)


def test_kit_needs_no_pytest() -> None:
    look = (
        "import django, sys; django.setup(); from djtasks.testing import *; assert drain and travel;"
        "sys.exit('pytest' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", look], check=True, cwd=ROOT)


def test_plugin_is_found_by_pytest_once() -> None:
    """One that is named otherwise than its module is refused where options name the module, too."""
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    entry = settings["options.entry_points"]["pytest11"].strip()
    assert entry == "djtasks.testing.plugin = djtasks.testing.plugin"


def test_names_are_there() -> None:
    assert set(djtasks.testing.__all__) <= set(dir(djtasks.testing))
    assert all(callable(getattr(djtasks.testing, name)) for name in djtasks.testing.__all__)
