"""The task itself: called it runs here and now, as a plain function would (TASK-5)."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from typing import Any

import pytest

from djtasks import AsyncResult, EagerResult, Task, shared_task
from djtasks.exceptions import DjtasksError
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, echo, fail, ran, retry_until


def test_call_runs_the_body_here_and_now() -> None:
    """TASK-5."""
    assert add(1, y=2) == 3


def test_call_gives_and_takes_what_it_is_given() -> None:
    """TASK-5: nothing is encoded."""
    thing = object()
    assert echo(thing)[0][0] is thing


def test_call_raises_what_the_body_raises() -> None:
    """TASK-5."""
    with pytest.raises(ValueError, match="no"):
        fail("no")
    with pytest.raises(TypeError, match="positional argument"):
        add(1)


def test_call_of_a_coroutine_function_runs_it() -> None:
    """TASK-5."""

    @shared_task
    async def body(x: int) -> int:
        return x + 1

    assert body(1) == 2


def test_call_of_a_coroutine_function_can_be_awaited() -> None:
    """TASK-5."""

    @shared_task(bind=True)
    async def body(self: Task, x: int) -> list[Any]:
        await asyncio.sleep(0)
        return [x + 1, self.request.args]

    async def caller() -> list[Any]:
        return [*await body(1), add(1, 2)]

    assert asyncio.run(caller()) == [2, (1,), 3]


@pytest.mark.django_db(transaction=True)
def test_base_class_may_stand_around_every_call() -> None:
    class Around(Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return ["around", super().__call__(*args, **kwargs)]

    @shared_task(bind=True, base=Around)
    def body(self: Task, depth: int = 0) -> list[Any]:
        return [self.request.called_directly, *([self(depth - 1)] if depth else [])]

    sent = body.delay()
    run_until_empty()
    assert sent.get() == body.apply().get() == ["around", [False]]
    assert body() == ["around", [True]]
    assert body.apply((1,)).get() == ["around", [False, ["around", [True]]]]


def test_call_runs_no_hooks() -> None:
    """TASK-5."""

    class Telling(Task):
        def before_start(self, *args: Any) -> None:
            ran.append("before_start")

        def after_return(self, *args: Any) -> None:
            ran.append("after_return")

    shared_task(lambda: ran.append("body"), name="telling", base=Telling)()
    assert ran == ["body"]


def test_base_class_keeps_what_it_made() -> None:
    class Connected(Task):
        def __init__(self) -> None:
            self.connections = 0

        def connect(self) -> int:
            self.connections += 1
            return self.connections

    @shared_task(bind=True, base=Connected)
    def body(self: Connected) -> int:
        return self.connect()

    assert [body(), body(), body.apply().get()] == [1, 2, 3]


def test_tasks_of_one_base_class_are_apart() -> None:
    class Slow(Task):
        queue = "slow"

    one, other = shared_task(len, base=Slow), shared_task(max, base=Slow, queue="other")
    assert (one.queue, other.queue, Slow.queue) == ("slow", "other", "slow")


@pytest.mark.parametrize(
    ("name", "asynchronous"),
    [
        ("delay", False),
        ("apply_async", False),
        ("apply", False),
        ("delay_on_commit", False),
        ("apply_async_on_commit", False),
        ("adelay", True),
        ("aapply_async", True),
    ],
)
def test_task_has_the_words_of_celery(name: str, asynchronous: bool) -> None:
    method = getattr(add, name)
    assert inspect.iscoroutinefunction(method) is asynchronous and method.__doc__


@pytest.mark.parametrize(
    "name", ["state", "status", "result", "info", "traceback", "date_done", "name", "args", "kwargs"]
)
@pytest.mark.parametrize("kind", [AsyncResult, EagerResult])
def test_result_has_the_words_of_celery(kind: type[Any], name: str) -> None:
    assert isinstance(getattr(kind, name), property)


def test_task_can_be_handed_on() -> None:
    assert copy.copy([add])[0] is add and {add: 1}[add] == 1


def test_retry_is_an_exception_of_ours() -> None:
    assert issubclass(retry_until.apply((9,)).result.__class__, DjtasksError)


def test_handle_can_be_sent_to_another_process() -> None:
    handle = AsyncResult("018f4c1e-0000-7000-8000-000000000001", task_name="some.name")
    assert pickle.loads(pickle.dumps(handle)) == handle  # noqa: S301
