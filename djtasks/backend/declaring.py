"""What Django's ``@task`` makes where the backend is ours: Django's Task with our options and our ways to call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, field, fields, make_dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from djtasks.backend.options import OPTIONS
from djtasks.compat import InvalidTaskBackend, Task, task_backends
from djtasks.domain.identifiers import task_name
from djtasks.tasks import registry
from djtasks.tasks.definition import Definition

if TYPE_CHECKING:
    from djtasks.tasks.canvas.signature import Signature
    from djtasks.tasks.results.result import AsyncResult
    from djtasks.tasks.task import Task as OurTask


class Declared(Task):  # type: ignore[type-arg]
    """One of Django's tasks that is one of ours, too: it is in the registry under its ``module_path``."""

    __slots__ = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _adopt(self)

    @property
    def module_path(self) -> str:
        """The name, in Django's words."""
        return name_of(self)

    def using(self, *, run_after: datetime | timedelta | None = None, **changes: Any) -> Any:
        """Make a task with other defaults; ``run_after`` may be a timedelta from now."""
        moment = timezone.now() + run_after if isinstance(run_after, timedelta) else run_after
        return super().using(run_after=moment, **changes)

    # Our ways to call it

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Send a message with these arguments."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """Send a message, as ``shared_task``'s does."""
        return registered(self).apply_async(args, kwargs, **self._options(options))

    async def adelay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """``delay`` from a coroutine."""
        return await self.aapply_async(args, kwargs)

    async def aapply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """``apply_async`` from a coroutine."""
        return await registered(self).aapply_async(args, kwargs, **self._options(options))

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """``delay`` that counts only once the transaction commits."""
        return self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """``apply_async`` that counts only once the transaction commits."""
        return registered(self).apply_async_on_commit(args, kwargs, **self._options(options))

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """Make a signature with these arguments, for chains, groups and chords."""
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Make a signature with these arguments and no others."""
        return self.signature(args, kwargs, immutable=True)

    def signature(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Signature:
        """Make a signature of what ``apply_async`` takes."""
        return registered(self).signature(args, kwargs, self._options(options or {}), **more)

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a call over what ``using`` has changed."""
        task = registered(self)
        changed = {"queue": (self.queue_name, task.queue), "priority": (self.priority, task.priority)}
        changed["eta"] = (self.run_after, None)
        return {name: here for name, (here, there) in changed.items() if here != there} | dict(options)


class Unsaid:
    """Stands in the place of an option that a task does not set."""

    def __repr__(self) -> str:
        return "UNSAID"

    def __reduce__(self) -> str:
        return "UNSAID"


UNSAID = Unsaid()

DjangoTask: Any = make_dataclass(
    "DjangoTask",
    # Left out of the hash, since dicts and lists have none, and of the repr, since there are many.
    [(name, Any, field(default=UNSAID, hash=False, repr=False)) for name in OPTIONS],
    bases=(Declared,),
    namespace={"__module__": __name__, "__doc__": "A task of Django's with the options of djtasks."},
    frozen=True,
    slots=True,
    kw_only=True,
)


def django_task(task: OurTask, *, backend: str | None = None) -> Any:
    """Return one of our tasks as one of Django's, to be enqueued in Django's words.

    Raises InvalidTask where the backend does not know its queue.
    """
    alias = backend or next(iter(aliases()), "default")
    # All that Django 6.0 asks for; later ones have defaults.
    said = {"queue_name": task.queue, "priority": task.priority, "run_after": None, "takes_context": False}
    return DjangoTask(func=task, backend=alias, **said)


def name_of(task: Any) -> str:
    """Return the name under which a task of Django's is in the registry."""
    return task.func.name if isinstance(task.func, Definition) else task_name(task.func)


def registered(task: Any) -> OurTask:
    """Return the task of ours that a task of Django's is; raises NotRegistered before the app is ready."""
    return registry.get(name_of(task))


def aliases() -> list[str]:
    """Return the aliases of those backends that are ours."""
    return [alias for alias in task_backends if is_ours(alias)]


def is_ours(alias: str) -> bool:
    """Say whether there is such a backend, and it is ours."""
    try:
        return issubclass(task_backends[alias].task_class, Declared)
    except InvalidTaskBackend:
        # Django's own check reports it.
        return False


def as_it_stood(task: Any, **changes: Any) -> Any:
    """Make a task with other fields, whether or not the settings of today would allow it."""
    made = object.__new__(type(task))
    for each in fields(made):
        default = None if each.default is MISSING else each.default
        object.__setattr__(made, each.name, changes.get(each.name, getattr(task, each.name, default)))
    return made


# What is declared before the app is ready, when no models can be loaded, waits here.
_waiting: list[Any] = []
_adopt: Callable[[Any], object] = _waiting.append


def adopt_with(adopt: Callable[[Any], object]) -> None:
    """Have everything adopted that is declared, and has been."""
    global _adopt
    _adopt = adopt
    while _waiting:
        adopt(_waiting.pop(0))
