"""What a task is made of: a callable, options with the settings behind them, and hooks that a base class overrides."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MethodType
from typing import Any, ClassVar, Self

from djtasks.conf import settings
from djtasks.domain.options import TASK_OPTIONS, check_names, check_task_options

AFTER = ("on_success", "on_failure", "on_retry", "after_return")


class FromSettings:
    """A task option that is as ``DJTASKS`` says, unless the task or its base class says otherwise."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return getattr(settings, self.key)


class Definition:
    """The options of a task (TASK-1), its hooks (TASK-2) and its body."""

    name: str = ""
    run: Callable[..., Any]
    __wrapped__: Callable[..., Any]

    queue: Any = FromSettings("TASK_DEFAULT_QUEUE")
    priority: Any = FromSettings("TASK_DEFAULT_PRIORITY")
    max_retries: Any = FromSettings("TASK_MAX_RETRIES")
    default_retry_delay: Any = FromSettings("TASK_DEFAULT_RETRY_DELAY")
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_kwargs: Mapping[str, Any] | None = None
    retry_backoff: bool | float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    expires: Any = None
    ignore_result: Any = FromSettings("TASK_IGNORE_RESULT")
    store_errors_even_if_ignored: Any = FromSettings("TASK_STORE_ERRORS_EVEN_IF_IGNORED")
    acks_late: Any = FromSettings("TASK_ACKS_LATE")
    acks_on_failure: Any = FromSettings("TASK_ACKS_ON_FAILURE")
    reject_on_worker_lost: Any = FromSettings("TASK_REJECT_ON_WORKER_LOST")
    max_deliveries: Any = FromSettings("MAX_DELIVERIES")
    track_started: Any = FromSettings("TASK_TRACK_STARTED")
    trail: bool = True
    throws: tuple[type[BaseException], ...] = ()
    typing: bool = True
    headers: Mapping[str, Any] | None = None

    _may_be_none: ClassVar[frozenset[str]] = frozenset({"max_retries", "expires", "headers", "retry_kwargs"})
    _parameters: inspect.Signature | None = None
    _least: int = 0
    _most: int = -1

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"

    @classmethod
    def make(cls, function: Callable[..., Any], name: str, bind: bool, options: Mapping[str, Any]) -> Self:
        """Make the task of a callable; raise ImproperlyConfigured for options that cannot work."""
        check_names(options, TASK_OPTIONS, f"task {name!r}")
        given = {key: value for key, value in options.items() if value is not None or key in cls._may_be_none}
        named: Any = function
        while isinstance(named, partial):
            named = named.func
        attributes = {
            **given,
            "name": name,
            "run": staticmethod(function),
            "__doc__": named.__doc__,
            "__module__": getattr(named, "__module__", None) or type(named).__module__,
            "__wrapped__": staticmethod(function),
            "__name__": getattr(named, "__name__", type(named).__name__),
        }
        task: Self = type(attributes["__name__"], (cls,), attributes)()
        if bind:
            # Not left to the class: partials and callable objects do not bind by themselves.
            task.run = MethodType(function, task)
        check_task_options(name, {key: getattr(task, key) for key in TASK_OPTIONS})
        for key in ("autoretry_for", "dont_autoretry_for", "throws"):
            setattr(task, key, tuple(getattr(task, key)))
        task._learn_parameters()
        return task

    # What the body takes

    def check_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError, as the body itself would, for arguments that it does not take (CALL-2)."""
        if (not kwargs and self._least <= len(args) <= self._most) or self._parameters is None or not self.typing:
            return
        try:
            self._parameters.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}() cannot be called like this: {error}") from None

    def _learn_parameters(self) -> None:
        """Look once at what the body takes, so that most calls are checked by a comparison."""
        try:
            self._parameters = inspect.signature(self.run)
        except (TypeError, ValueError):
            # Some callables written in C do not say what they take.
            return
        parameters = self._parameters.parameters.values()
        positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        if not any(each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in parameters):
            self._most = len(positional)
            self._least = sum(each.default is each.empty for each in positional)

    # Hooks

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run before the body."""

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run when the success has been recorded."""

    def on_failure(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        """Run when the failure has been recorded; ``einfo`` is the traceback as text."""

    def on_retry(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        """Run when the retry has been recorded."""

    def after_return(
        self, status: str, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str | None
    ) -> None:
        """Run when the end has been recorded; not after Retry, Ignore and Reject."""

    def has_hooks_after(self) -> bool:
        """Say whether anything is to run once the end has been recorded."""
        return any(getattr(type(self), hook) is not getattr(Definition, hook) for hook in AFTER)
