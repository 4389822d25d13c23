"""The registry learns Django's tasks whenever and wherever they are declared; where there are none, all else works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from djtasks import compat
from djtasks.exceptions import AlreadyRegistered, ImproperlyConfigured
from djtasks.tasks import registry
from tests.contract import samples
from tests.contract.django import IMMEDIATE, TaskResultStatus, task
from tests.helpers_inprocess import run_until_empty

ROOT = Path(__file__).parents[2]
MODULE = """
from tests.contract.django import task

@task
def here():
    return "here"
"""
SETTINGS = """
from tests.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
"""
LOOK = """
import django
django.setup()
from djtasks.tasks import registry
print(*registry.names())
"""


def names(place: Path, files: dict[str, str], code: str = LOOK) -> set[str]:
    """Say which tasks a process knows whose project has an app of these files."""
    for name, source in {"__init__.py": "", **files}.items():
        (place / "shop").mkdir(exist_ok=True)
        (place / "shop" / name).write_text(source)
    paths = os.pathsep.join([str(place), str(ROOT)])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": paths}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_tasks_modules_of_the_apps_are_read(tmp_path: Path) -> None:
    assert "shop.tasks.here" in names(tmp_path, {"settings.py": SETTINGS, "tasks.py": MODULE})


def test_tasks_may_be_declared_before_any_model_can_be_loaded(tmp_path: Path) -> None:
    package = "from tests.contract.django import task\n\n\n@task\ndef early(): ...\n"
    # While the app itself is looked for.
    app = f"from django.apps import AppConfig\n{package}\nclass Shop(AppConfig):\n    name = 'shop'\n"
    assert "shop.apps.early" in names(tmp_path, {"settings.py": SETTINGS, "apps.py": app})


def test_tasks_of_another_backend_are_known_for_those_who_send_them_to_ours(tmp_path: Path) -> None:
    settings = f'{SETTINGS}\nTASKS = {{"default": {{"BACKEND": "{IMMEDIATE}"}}, "rows": TASKS["default"]}}\n'
    assert "shop.tasks.here" in names(tmp_path, {"settings.py": settings, "tasks.py": MODULE})


def test_tasks_of_another_backend_are_left_alone_where_ours_is_not_used(tmp_path: Path) -> None:
    settings = f'{SETTINGS}\nTASKS = {{"default": {{"BACKEND": "{IMMEDIATE}"}}, "odd": {{"BACKEND": "not.there"}}}}\n'
    found = names(tmp_path, {"settings.py": settings, "tasks.py": MODULE})
    assert "tests.tasks.add" in found and "shop.tasks.here" not in found


@pytest.mark.django_db(transaction=True)
def test_task_of_another_backend_runs_where_it_is_sent_to_ours(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": IMMEDIATE}, "rows": settings.TASKS["default"]}
    try:
        declared = task(_declared_elsewhere)
        result = declared.using(backend="rows").enqueue(2)
        assert (result.status, result.backend) == (TaskResultStatus.READY, "rows")
        run_until_empty()
        result.refresh()
        assert (result.return_value, result.backend) == (4, "rows")
    finally:
        registry.forget(f"{__name__}._declared_elsewhere")


def _declared_elsewhere(x: int) -> int:
    return x * 2


def test_first_to_declare_a_function_decides() -> None:
    known = registry.get(samples.add.module_path)
    again = task(priority=7)(samples.add.func)
    assert registry.get(samples.add.module_path) is known
    assert (known.priority, again.priority) == (0, 7)


def test_two_functions_of_one_name_are_refused() -> None:
    other = _declared_elsewhere
    name, qualname = other.__name__, other.__qualname__
    other.__module__, other.__qualname__ = "tests.contract.samples", "add"
    try:
        with pytest.raises(AlreadyRegistered, match=r"two tasks are named 'tests\.contract\.samples\.add'"):
            task(other)
    finally:
        other.__module__, other.__name__, other.__qualname__ = __name__, name, qualname


WITHOUT = """
import sys
for name in ("django.tasks", "django_tasks"):
    sys.modules[name] = None
import django
django.setup()
from django.core.checks import run_checks
from djtasks import shared_task
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks import registry
from django.conf import settings
found = [message.id for message in run_checks()]
settings.TASKS = ["a setting of the project's own", {"BACKEND": None}]
assert "djtasks.E016" in found and "djtasks.E016" not in [message.id for message in run_checks()], found
try:
    from djtasks.backend import DjtasksBackend
except ImproperlyConfigured as error:
    assert "djtasks[backport]" in str(error)
    print(*registry.names())
"""


def test_without_djangos_tasks_all_else_works_and_the_backend_says_what_to_install(tmp_path: Path) -> None:
    own = "from djtasks import shared_task\n\n\n@shared_task\ndef here(): ...\n"
    settings = f'{SETTINGS}\nTASKS = {{"default": {{"BACKEND": "djtasks.backend.DjtasksBackend"}}}}\n'
    assert "shop.tasks.here" in names(tmp_path, {"settings.py": settings, "tasks.py": own}, WITHOUT)


def test_what_compat_lacks_is_no_matter_of_installation() -> None:
    with pytest.raises(AttributeError):
        _ = compat.nothing
    with pytest.raises(ImproperlyConfigured, match=r"djtasks\[backport\]"):
        compat.__getattr__("Task")
