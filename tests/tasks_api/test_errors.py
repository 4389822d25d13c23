"""Exceptions as records and back: of loaded classes alone, with nothing imported and nothing else called (S3)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.functional import SimpleLazyObject

from djtasks.exceptions import DjtasksError
from djtasks.tasks.context import Request
from djtasks.tasks.errors import RemoteError, describe, format_traceback, rebuild


class Outer:
    class Inner(Exception): ...


class Picky(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)


class Raising(Exception):
    def __init__(self, *args: Any) -> None:
        raise LookupError("not again")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        ValueError(),
        KeyError("name"),
        OSError(2, "no such file"),
        ZeroDivisionError("division by zero"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        Http404("gone"),
        ValidationError(["too short"]),
        Group.DoesNotExist("no group"),
        Outer.Inner(Decimal("1.10"), 7),
        DjtasksError("ours"),
    ],
    ids=repr,
)
def test_exception_of_a_loaded_class_comes_back_as_it_was(error: Exception) -> None:
    """RES-4."""
    again = rebuild(json.loads(describe(error, "failure", Request())))
    assert type(again) is type(error) and again.args == error.args and str(again) == str(error)


@pytest.mark.parametrize(
    "error",
    [Picky(7, "x"), Outer.Inner(object()), ExceptionGroup("x", [ValueError()])],
    ids=lambda error: type(error).__name__,
)
def test_exception_that_cannot_be_made_anew_has_a_stand_in_of_its_name(error: Exception) -> None:
    """RES-4."""
    record = json.loads(describe(error, "failure", Request()))
    again = rebuild(record)
    assert type(again).__name__ == type(error).__name__ and str(again) == str(error)


@pytest.mark.parametrize(
    "path",
    [
        "antigravity.Oops",
        "no.such.module.Oops",
        "xml.dom.minidom.Oops",
        "tests.tasks_api.test_errors.Outer.Oops",
        "Oops",
        "..Oops",
        "os.path.join.Oops",
        "tests.tasks_api.test_errors.Outer.__init__.__globals__.Oops",
    ],
)
def test_class_that_is_not_loaded_is_not_imported(path: str) -> None:
    """S3."""
    before = set(sys.modules)
    error = rebuild({"type": path, "message": "from afar", "args": ["x"]})
    assert set(sys.modules) == before
    assert isinstance(error, RemoteError) and isinstance(error, DjtasksError)
    assert type(error).__name__ == "Oops" and str(error) == "from afar"


@pytest.mark.parametrize(
    "path",
    [
        "os",
        "os.system",
        "builtins.eval",
        "builtins.print",
        "builtins.type",
        "subprocess.Popen",
        "subprocess.run",
        "builtins.SystemExit",
        "builtins.KeyboardInterrupt",
        "builtins.GeneratorExit",
        "builtins.BaseException",
        "djtasks.models.Message",
        "djtasks.tasks.task.Task.make",
        "djtasks.tasks.errors.rebuild",
        ".",
    ],
)
def test_nothing_but_an_exception_is_ever_called(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3."""
    called: list[Any] = []
    for module, name in ((os, "system"), (subprocess, "run"), (subprocess, "Popen")):
        monkeypatch.setattr(module, name, lambda *args: called.append(args))
    error = rebuild({"type": path, "message": "from afar", "args": ["touch /tmp/oops"]})
    assert isinstance(error, RemoteError) and not called


def test_lazy_object_is_not_asked_what_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3."""
    asked: list[bool] = []
    lazy = SimpleLazyObject(lambda: asked.append(True))
    monkeypatch.setattr(sys.modules[__name__], "Lazy", lazy, raising=False)
    rebuild({"type": f"{__name__}.Lazy", "message": "x", "args": []})
    rebuild({"type": f"{__name__}.Lazy.Inner", "message": "x", "args": []})
    assert not asked


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"type": None, "message": None, "args": None},
        {"type": 7, "message": ["x"], "args": "x"},
        {"type": "builtins.ValueError", "args": [{"$date": "never"}]},
        {"type": "builtins.ValueError", "args": {"x": 1}},
        {"type": "a\0b\ud800.c d", "message": "x"},
        {"type": f"{__name__}.Raising", "message": "x", "args": []},
    ],
)
def test_record_that_was_spoilt_by_hand_is_still_an_exception(record: dict[str, Any]) -> None:
    assert isinstance(rebuild(record), Exception)


def test_record_says_who_tried_and_when() -> None:
    request = Request(id="7", hostname="djtasks@here", worker_id="w", deliveries=2, retries=1)
    record = json.loads(describe(ValueError("x", object()), "retry", request, "Traceback …"))
    assert record.pop("failed_at") and record == {
        "kind": "retry",
        "type": "builtins.ValueError",
        "message": str(record["message"]),
        "args": None,
        "traceback": "Traceback …",
        "worker": "w",
        "hostname": "djtasks@here",
        "delivery": 2,
        "retries": 1,
        "started_at": None,
    }


def test_traceback_shows_no_local_variables() -> None:
    """S10."""

    def body() -> None:
        secret = "correct horse"  # noqa: F841
        raise ValueError("no")

    with pytest.raises(ValueError) as caught:
        body()
    text = format_traceback(caught.value)
    assert 'raise ValueError("no")' in text and "correct horse" not in text.replace('secret = "correct horse"', "")
