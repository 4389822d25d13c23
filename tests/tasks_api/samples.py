"""Tasks that several of these tests send."""

from __future__ import annotations

from typing import Any

from djtasks import Task, shared_task

ran: list[Any] = []


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task
def echo(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@shared_task
def note(value: Any) -> None:
    ran.append(value)


@shared_task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@shared_task(ignore_result=True)
def fail_ignored() -> None:
    raise ValueError("nobody asks")


@shared_task(bind=True)
def look(self: Task, *names: str) -> dict[str, Any]:
    return {name: getattr(self.request, name) for name in names}


@shared_task(bind=True, default_retry_delay=0)
def retry_until(self: Task, successes_at: int, **options: Any) -> int:
    if self.request.retries < successes_at:
        raise self.retry(**options)
    return self.request.retries
