"""Ids are ordered and unlike each other; names are those by which a worker finds the task again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from djtasks.domain import identifiers
from djtasks.domain.identifiers import (
    as_uuid,
    check_priority,
    check_queue_name,
    check_task_name,
    task_name,
    uuid7,
)

PACKAGE_HOME = str(Path(identifiers.__file__).parents[2])


def test_ids_are_uuids_of_version_7_that_tell_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant, made.is_safe) == (7, uuid.RFC_4122, uuid.SafeUUID.unknown)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1
    assert uuid.UUID(str(made)) == made


def test_each_id_is_greater_than_the_one_before() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert list(map(str, made)) == sorted(map(str, made))


def test_ids_grow_although_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    monkeypatch.setattr(identifiers, "time_ns", lambda: 0)
    second, third = uuid7(), uuid7()
    assert first < second < third
    assert {each.version for each in (first, second, third)} == {7}


def test_threads_make_ids_that_are_ordered_in_each_and_unlike_in_all() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [uuid7() for _ in range(2_000)], range(8)))
    assert all(batch == sorted(batch) for batch in batches)
    assert len(set().union(*batches)) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_a_thread_makes_an_id_leaves_the_child_able_to(tmp_path: Path) -> None:
    script = """
        import os
        from djtasks.domain import identifiers
        last = identifiers.uuid7()
        with identifiers._lock:
            child = os.fork()
            if not child:
                print(identifiers.uuid7() != last, flush=True)
                os._exit(0)
        os.waitpid(child, 0)
        print(identifiers.uuid7() > last)
    """
    assert run(tmp_path, {"forks.py": script}, "forks.py") == ["True", "True"]


@pytest.mark.parametrize("value", ["12345678-1234-5678-1234-567812345678", uuid.UUID(int=5), uuid.UUID(int=5).hex])
def test_an_id_is_a_uuid_or_its_text(value: Any) -> None:
    assert str(as_uuid(value)) == str(uuid.UUID(str(value)))


@pytest.mark.parametrize("value", ["", "daily-report", 5, None, b"x", "\0" * 10_000])
def test_another_id_is_refused_with_the_way_to_a_stable_one(value: Any) -> None:
    with pytest.raises(ValueError, match=r"a task id is a UUID, not .*uuid\.uuid5\(uuid\.NAMESPACE_URL, ") as refusal:
        as_uuid(value)
    assert len(str(refusal.value)) < 300


def outer() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


class Mailer:
    def send(self) -> None: ...

    def __call__(self) -> None: ...


def repeated(function: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(function)
    def wrapper() -> Any:
        return function()

    return wrapper


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (outer, "outer"),
        (outer(), "outer.inner"),
        (repeated(outer), "outer"),
        (Mailer.send, "Mailer.send"),
        (Mailer().send, "Mailer.send"),
        (Mailer(), "Mailer"),
        (Mailer, "Mailer"),
        (partial(partial(outer)), "outer"),
    ],
)
def test_a_name_is_that_of_the_module_and_the_name_in_it(function: Callable[..., Any], name: str) -> None:
    assert task_name(function) == f"{__name__}.{name}"


def test_a_builtin_has_a_name_too() -> None:
    assert task_name(len) == "builtins.len"


SHOW = """
    from djtasks.domain.identifiers import task_name
    def add(): ...
    print(task_name(add))
"""


@pytest.mark.parametrize(
    ("files", "arguments", "path", "name"),
    [
        pytest.param({"tasks.py": SHOW}, "tasks.py", "", "tasks.add", id="script"),
        pytest.param({"my-tasks.py": SHOW}, "my-tasks.py", "", "my-tasks.add", id="odd script"),
        pytest.param(
            {"shop/__init__.py": "", "shop/mail/__init__.py": "", "shop/mail/tasks.py": SHOW},
            "shop/mail/tasks.py",
            "",
            "shop.mail.tasks.add",
            id="script in packages",
        ),
        pytest.param({"shop/tasks.py": SHOW}, "shop/tasks.py", "", "tasks.add", id="script in a folder"),
        pytest.param({"shop/tasks.py": SHOW}, "shop/tasks.py", ".", "shop.tasks.add", id="namespace package"),
        pytest.param({"a/b/tasks.py": SHOW}, "a/b/tasks.py", ".:a", "b.tasks.add", id="longest entry of the path"),
        pytest.param({"shop/tasks.py": SHOW}, "-m shop.tasks", "", "shop.tasks.add", id="-m module"),
        pytest.param(
            {"shop/__init__.py": "", "shop/__main__.py": SHOW}, "-m shop", "", "shop.__main__.add", id="-m package"
        ),
        pytest.param({"shop/__main__.py": SHOW}, "shop", "", "__main__.add", id="directory"),
        pytest.param({"tasks.py": SHOW}, "-c 'exec(open(\"tasks.py\").read())'", "", "__main__.add", id="no file"),
    ],
)
def test_a_main_module_is_named_as_others_import_it(
    tmp_path: Path, files: dict[str, str], arguments: str, path: str, name: str
) -> None:
    assert run(tmp_path, files, arguments, path) == [name]


@pytest.mark.parametrize(("arguments", "name"), [("shop/tasks.py", "tasks.add"), ("-m shop.tasks", "shop.tasks.add")])
def test_a_spawned_process_names_the_main_module_alike(tmp_path: Path, arguments: str, name: str) -> None:
    script = """
        import multiprocessing
        from djtasks.domain.identifiers import task_name
        def add(): ...
        print(task_name(add), flush=True)
        if __name__ == "__main__":
            process = multiprocessing.get_context("spawn").Process(target=add)
            process.start()
            process.join()
    """
    assert run(tmp_path, {"shop/tasks.py": script}, arguments) == [name, name]


def run(directory: Path, files: dict[str, str], arguments: str, path: str = "") -> list[str]:
    """Write the files, run Python with the arguments there, and return the lines that it prints."""
    for file, text in files.items():
        target = directory / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text))
    entries = [str(directory / entry) for entry in path.split(":") if entry]
    done = subprocess.run(
        [sys.executable, *shlex.split(arguments)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*entries, PACKAGE_HOME])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["default", "9", "a.b:c@d-e_f", "q" * 128])
def test_a_queue_name_is_accepted(name: str) -> None:
    assert check_queue_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "-a",
        "_a",
        ".a",
        "a\n",
        "a\0",
        "é",
        "a/b",
        "a,b",
        '"',
        "a*",
        "q" * 129,
        "q" * 9999,
        None,
        5,
        b"a",
    ],
)
def test_another_queue_name_is_refused_with_the_rule(name: Any) -> None:
    with pytest.raises(ValueError, match="is no name for a queue: up to 128 ASCII letters, digits and") as refusal:
        check_queue_name(name)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("name", ["a", "shop.tasks.add", "shop.tasks.<lambda>", "Größe", "with space", "t" * 255])
def test_a_task_name_is_accepted(name: str) -> None:
    assert check_task_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", " a", "a ", "a\nb", "a\0", "\ud800", "\x1b[31m", "\u200e", "t" * 256, None, 5, b"a"]
)
def test_another_task_name_is_refused_with_the_rule(name: Any) -> None:
    with pytest.raises(ValueError, match="is no name for a task: 1 to 255 printable characters") as refusal:
        check_task_name(name)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("value", [-100, -1, 0, 1, 100])
def test_a_priority_is_accepted(value: int) -> None:
    assert check_priority(value) == value


@pytest.mark.parametrize(
    ("value", "error"),
    [(-101, ValueError), (101, ValueError), (10**30, ValueError)]
    + [(value, TypeError) for value in (True, False, None, "5", 5.0)],
)
def test_another_priority_is_refused_with_the_rule(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="a priority"):
        check_priority(value)
