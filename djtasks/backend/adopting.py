"""Django's tasks in our registry: whatever works with a task of ours works with them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any

from asgiref.sync import sync_to_async

from djtasks.backend import declaring, options, results, telling
from djtasks.compat import Task as DjangosTask
from djtasks.compat import TaskContext, TaskResultStatus, normalize_json, task_backends
from djtasks.domain.outcomes import Failure, Success
from djtasks.tasks import registry
from djtasks.tasks.attempt import Attempt
from djtasks.tasks.context import Request, current_run
from djtasks.tasks.declare import shared_task
from djtasks.tasks.task import Task


class Adopted(Task):
    """A task of Django's; its runs are told of by Django's signals."""

    declared: Any = None

    def stands_for(self, declared: object) -> bool:
        """Say whether this was made of the same function."""
        return getattr(declared, "func", None) is self.declared.func

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        telling.started(self, self.request)

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        telling.succeeded(self, self.request, retval)

    def on_failure(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        telling.failed(self, self.request, exc, einfo)

    def has_hooks_after(self) -> bool:
        return telling.is_end_awaited()

    def before_recorded(self, request: Request, attempt: Attempt) -> None:
        """Let Django's own log have its line at once where nobody else waits for it: to wait costs a round trip."""
        if telling.is_end_awaited():
            return
        match attempt.outcome:
            case Success():
                telling.succeeded(self, request, attempt.value)
            case Failure() if attempt.error is not None:
                telling.failed(self, request, attempt.error, attempt.traceback or "")


def adopt(task: Any) -> Task:
    """Return the task of ours that one of Django's is; what declares a function first decides on its options."""
    if isinstance(task.func, Task):
        return task.func
    name = declaring.name_of(task)
    known = registry.find(name)
    if isinstance(known, Adopted) and known.stands_for(task):
        return known
    body = body_of(task.func, task.takes_context)
    own = {"queue": task.queue_name, "priority": int(task.priority), **_options_of(task)}
    made: Any = shared_task(name=name, base=Adopted, **own)(body)
    made.declared = task
    adopted: Task = made
    return adopted


def adopt_all(modules: Iterable[str]) -> None:
    """Adopt what has been declared, and what is going to be; and what stands in these modules for other backends."""
    declaring.adopt_with(adopt)
    if declaring.aliases():
        for module in modules:
            for found in list(vars(sys.modules[module]).values()) if module in sys.modules else ():
                if isinstance(found, DjangosTask):
                    adopt(found)


def _options_of(task: Any) -> dict[str, Any]:
    """Lay what ``@task`` says over what ``task_options`` says, and that over the OPTIONS of the backend."""
    alias = results.alias_of(task, {})
    said = task_backends[alias].options if declaring.is_ours(alias) else {}
    general = {name: said[name] for name in options.OPTIONS if name in said}
    own = {name: getattr(task, name, declaring.UNSAID) for name in options.OPTIONS}
    own = {name: value for name, value in own.items() if value is not declaring.UNSAID}
    return {**general, **options.said_of(task.func), **own}


def body_of(function: Callable[..., Any], takes_context: bool) -> Any:
    """Make the body of a function of Django's: it may take a context first, and returns JSON."""

    @wraps(function)
    def body(*args: Any, **kwargs: Any) -> Any:
        first = [current_context()] if takes_context else []
        return normalize_json(function(*first, *args, **kwargs))

    @wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        first = [await sync_to_async(current_context)()] if takes_context else []
        return normalize_json(await function(*first, *args, **kwargs))

    made: Any = coroutine if iscoroutinefunction(function) else body
    if takes_context:
        known = signature(function)
        parameters = list(known.parameters.values())[1:]
        made.__signature__ = known.replace(parameters=parameters)
    return made


def current_context() -> Any:
    """Make what a body that takes it gets as its context."""
    run = current_run()
    assert run is not None and isinstance(run[0], Task)  # noqa: S101, bodies are called by tasks alone
    request: Request = run[1]
    return TaskContext(task_result=results.of_run(run[0], request, TaskResultStatus.RUNNING))
