"""A message carries the name of its task alone, so a name must mean one callable (mission, 2)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from djtasks import send_task, shared_task
from djtasks.exceptions import AlreadyRegistered, DjtasksError, ImproperlyConfigured, NotRegistered
from djtasks.tasks import registry
from tests.helpers_inprocess import run_until_empty

MODULE = "from djtasks import shared_task\n@shared_task\ndef add(x): return x + {n}\n"
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Write a module and import it, or load it anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(source: str) -> ModuleType:
        (tmp_path / "made_for_this_test.py").write_text(source)
        importlib.invalidate_caches()
        if module := sys.modules.get("made_for_this_test"):
            return importlib.reload(module)
        return importlib.import_module("made_for_this_test")

    yield load
    sys.modules.pop("made_for_this_test", None)


def test_two_callables_cannot_have_one_name() -> None:
    shared_task(print, name="one.name")
    with pytest.raises(AlreadyRegistered, match=r"two tasks are named 'one.name': print .*; give one of them name="):
        shared_task(lambda: None, name="one.name")
    assert registry.get("one.name").run is print


@pytest.mark.parametrize(
    "source",
    [
        MODULE.format(n=1) + "@shared_task\ndef add(x, y): return x + y\n",
        MODULE.format(n=1) + "shared_task(add.run, queue='slow')\n",
        "from djtasks import shared_task\nf = shared_task(lambda: 1)\ng = shared_task(lambda: 2)\n",
        "from djtasks import shared_task\nfor n in (1, 2):\n    @shared_task\n    def add(x): return x + n\n",
        "from djtasks import shared_task\nclass A:\n    def __call__(self): ...\n"
        "f = shared_task(A())\ng = shared_task(A())\n",
    ],
    ids=["definitions", "declarations", "lambdas", "turns of a loop", "callable objects"],
)
def test_two_of_one_name_in_a_module_are_refused(load: Load, source: str) -> None:
    with pytest.raises(AlreadyRegistered):
        load(source)


def test_module_that_is_loaded_anew_replaces_its_tasks(load: Load) -> None:
    load(MODULE.format(n=1))
    load("# one line more\n" + MODULE.format(n=2))
    assert registry.get("made_for_this_test.add")(1) == 3


def test_module_that_is_imported_once_more_replaces_its_tasks(load: Load) -> None:
    load(MODULE.format(n=1))
    del sys.modules["made_for_this_test"]
    load(MODULE.format(n=1))
    assert registry.get("made_for_this_test.add")(1) == 2


def test_function_that_is_called_again_replaces_the_tasks_it_makes() -> None:
    def make(n: int) -> None:
        @shared_task
        def add(x: int) -> int:
            return x + n

    make(1)
    make(2)
    assert registry.get(f"{__name__}.test_function_that_is_called_again_replaces_the_tasks_it_makes.make.add")(1) == 3


def test_whoever_types_may_define_a_task_again() -> None:
    session = {"__name__": "__main__"}
    for number, line in enumerate(("lambda: 1", "lambda: 2")):
        exec(  # noqa: S102
            compile(f"from djtasks import shared_task\ntask = shared_task({line})", f"<cell {number}>", "exec"), session
        )
    assert registry.get(session["task"].name)() == 2  # type: ignore[attr-defined]


def test_unknown_name_is_not_found() -> None:
    assert registry.find("nobody.knows") is None
    with pytest.raises(NotRegistered, match=r"no task is named 'nobody.knows': is its module imported") as caught:
        registry.get("nobody.knows")
    assert isinstance(caught.value, KeyError) and isinstance(caught.value, DjtasksError)


def test_forgotten_name_is_free() -> None:
    shared_task(print, name="free.again")
    registry.forget("free.again")
    assert "free.again" not in registry.names()
    assert shared_task(len, name="free.again").run is len


def test_names_come_in_order() -> None:
    names = list(registry.names())
    assert names == sorted(names) and "tests.tasks.add" in names


# Names that a task had before


def test_task_is_found_under_the_names_it_had_before() -> None:
    """E11."""
    task = shared_task(lambda: None, name="new.name", aliases=["old.name", "older.name"])
    assert registry.find("old.name") is registry.get("older.name") is registry.get("new.name") is task
    assert {"old.name", "older.name"}.isdisjoint(registry.names())
    registry.forget("new.name")
    assert registry.find("old.name") is None


@pytest.mark.django_db(transaction=True)
def test_row_with_an_old_name_runs_the_code_of_today() -> None:
    """E11."""
    results = [send_task("old.name", (2, 3)), send_task("old.name", (2, 3), queue="own")]
    shared_task(lambda x, y: x + y, name="new.name", aliases=["old.name"], queue="sums")
    results.append(send_task("old.name", (2, 3)))
    run_until_empty()
    assert [result.get() for result in results] == [5, 5, 5]
    assert [result.queue for result in results] == ["default", "own", "sums"]
    assert results[2].name == "old.name"


@pytest.mark.parametrize(
    ("name", "aliases", "said"),
    [
        ("mine", ["known"], "the task 'mine' cannot have the alias 'known', which is a name of the task 'known'"),
        ("mine", ["before"], "the task 'mine' cannot have the alias 'before', which is a name of the task 'known'"),
        ("mine", ["mine"], "cannot have the alias 'mine'"),
        ("before", [], "'before' is an alias of the task 'known'; remove it from its aliases"),
    ],
)
def test_name_that_two_tasks_would_have_is_refused(name: str, aliases: list[str], said: str) -> None:
    """E11."""
    known = shared_task(lambda: 1, name="known", aliases=["before"])
    with pytest.raises(AlreadyRegistered, match=said):
        shared_task(lambda: 2, name=name, aliases=aliases)
    assert registry.find(name) is (known if name == "before" else None)
    assert registry.find("before") is known


@pytest.mark.parametrize("aliases", ["old.name", [""], [7], {"old": 1}])
def test_aliases_that_are_no_names_are_refused(aliases: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"aliases is a list of names|is no name for a task"):
        shared_task(lambda: None, name="mine", aliases=aliases)


def test_module_that_is_loaded_anew_brings_its_aliases(load: Load) -> None:
    """E11."""
    source = "from djtasks import shared_task\n@shared_task(name='mine', aliases=[{}])\ndef body(): ...\n"
    load(source.format("'a', 'b'"))
    load(source.format("'b', 'c'"))
    assert registry.find("a") is None
    assert registry.find("b") is registry.find("c") is registry.get("mine")
