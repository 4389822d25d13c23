"""Tasks that are declared with Django's decorator, and one of ours that is both."""

from __future__ import annotations

from typing import Any

from djtasks import current_task, shared_task
from djtasks.backend import task_options
from tests.contract.django import TaskContext, task


@task
def add(x: int, y: int) -> int:
    """Add."""
    return x + y


@task(priority=5, queue_name="sums")
def add_first(x: int, y: int) -> int:
    return x + y


@task
async def add_async(x: int, y: int) -> int:
    return x + y


@task
def echo(*args: Any, **kwargs: Any) -> Any:
    return [args, kwargs]


@task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@task
def give_what_is_no_json() -> Any:
    return lambda: True


@task(takes_context=True)
def look(context: TaskContext, *words: str) -> list[Any]:
    result = context.task_result
    return [context.attempt, result.id, str(result.status), result.args, result.worker_ids, len(result.errors)]


@task(takes_context=True)
async def look_async(context: TaskContext) -> int:
    return context.attempt


@task(takes_context=True)
@task_options(autoretry_for=(ValueError,), default_retry_delay=0, max_retries=3)
def fail_at_first(context: TaskContext, times: int) -> list[Any]:
    """Fail so many times."""
    if context.attempt <= times:
        raise ValueError(f"attempt {context.attempt}")
    return [context.attempt, [error.exception_class_path for error in context.task_result.errors]]


@task
@task_options(max_retries=2)
def ask_again(times: int) -> int:
    """Ask for another attempt in the body."""
    if current_task.request.retries < times:
        current_task.retry(countdown=0)
    return int(current_task.request.retries)


@task
@task_options(acks_late=True)
def add_late(x: int, y: int) -> int:
    return x + y


@task
@task_options(ignore_result=True)
def forget() -> int:
    return 1


@task
@task_options(sensitive=["password"])
def log_in(password: str) -> None:
    raise ValueError(f"{password} is wrong")


@task
@shared_task(name="tests.contract.both", max_retries=7)
def both(x: int) -> int:
    return -x
