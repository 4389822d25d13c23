"""``current_task`` stands for whichever task is running here."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from djtasks import Task, current_task, shared_task
from djtasks.tasks.context import current_run


def test_no_task_runs_outside_of_one() -> None:
    assert not current_task and current_task == None  # noqa: E711
    assert repr(current_task) == "None"
    assert current_run() is None
    with pytest.raises(AttributeError, match="no task is running here, so current_task has no 'request'"):
        current_task.request  # noqa: B018


def test_running_task_is_the_current_one() -> None:
    @shared_task(bind=True)
    def body(self: Task, x: int) -> list[Any]:
        return [
            bool(current_task),
            current_task == self,
            current_task.name,
            current_task.request.args,
            repr(current_task),
        ]

    assert body(7) == [True, True, body.name, (7,), repr(body)]
    assert not current_task


def test_inner_task_is_the_current_one_until_it_ends() -> None:
    @shared_task
    def inner() -> str:
        return str(current_task.name)

    @shared_task
    def outer() -> list[str]:
        return [current_task.name, inner(), current_task.name]

    assert outer() == [outer.name, inner.name, outer.name]


def test_task_that_fails_is_current_no_more() -> None:
    @shared_task
    def body() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        body()
    assert not current_task


def test_other_threads_have_no_part_in_it() -> None:
    seen = []

    @shared_task
    def body() -> None:
        thread = threading.Thread(target=lambda: seen.append(bool(current_task)))
        thread.start()
        thread.join()

    body()
    assert seen == [False]
