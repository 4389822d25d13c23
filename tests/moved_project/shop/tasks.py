"""The project's tasks, which know of no backend."""

from __future__ import annotations

from typing import Any

try:
    from django.tasks import TaskContext, task
except ImportError:
    from django_tasks import TaskContext, task


@task
def count_stock(*shelves: str, **options: Any) -> dict[str, Any]:
    return {"shelves": list(shelves), **options}


@task(queue_name="mail", priority=10)
def send_mail(to: str) -> str:
    return f"sent to {to}"


@task
async def ask_supplier(name: str) -> str:
    return name.upper()


@task
def charge(cents: int) -> None:
    raise ValueError(f"{cents} cents are too few")


@task(takes_context=True)
def write_receipt(context: TaskContext, order: int) -> list[Any]:
    return [order, context.attempt, context.task_result.task.module_path]


@task
def draw() -> Any:
    return object()
