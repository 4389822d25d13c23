"""The face of the package: its names are loaded when they are first used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import djtasks

NAMES = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultSet",
    "Signature",
    "StampingVisitor",
    "Task",
    "Workflow",
    "allow_join_result",
    "chain",
    "chord",
    "chunks",
    "clocked",
    "control",
    "crontab",
    "current_task",
    "enqueue_many",
    "every",
    "group",
    "inspect",
    "schedule",
    "scheduled",
    "send_task",
    "shared_task",
    "signature",
    "solar",
    "states",
    "task",
    "xmap",
    "xstarmap",
    "__version__",
]


@pytest.mark.parametrize("name", NAMES)
def test_public_name_can_be_had(name: str) -> None:
    assert name in djtasks.__all__ and name in dir(djtasks)
    assert getattr(djtasks, name) is getattr(import_module("djtasks"), name)


@pytest.mark.parametrize(
    ("module", "name"),
    [("tasks.results.result", "AsyncResult"), ("tasks.results.result", "EagerResult"), ("tasks.task", "Task")],
)
def test_public_name_is_the_one_of_its_module(module: str, name: str) -> None:
    assert getattr(djtasks, name) is getattr(import_module(f"djtasks.{module}"), name)


def test_states_are_names_of_their_module() -> None:
    """RES-1."""
    assert djtasks.states.SUCCESS == "SUCCESS"
    assert {"SUCCESS", "FAILURE", "REVOKED"} == djtasks.states.READY_STATES


def test_all_names_can_be_imported_at_once() -> None:
    found: dict[str, object] = {}
    exec("from djtasks import *", found)  # noqa: S102
    assert set(NAMES) <= set(found)


def test_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'djtasks' has no attribute 'Celery'"):
        djtasks.Celery  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Celery'"):
        from djtasks import Celery  # noqa: F401


def test_name_that_was_used_is_not_looked_up_again() -> None:
    assert djtasks.Task is vars(djtasks)["Task"]


def test_exceptions_and_signals_can_be_imported_before_django_is_set_up() -> None:
    code = "import djtasks.exceptions, djtasks.signals, djtasks.domain.states; print(djtasks.__version__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == djtasks.__version__


def test_rules_need_neither_models_nor_what_they_calculate_with() -> None:
    code = (
        "import sys, djtasks; djtasks.crontab(hour=3); djtasks.every(30); djtasks.solar, djtasks.clocked; "
        "print([name for name in ('astral', 'croniter', 'djtasks.models') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
