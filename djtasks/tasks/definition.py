"""What a task is made of: a callable, and options with the settings behind them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MethodType
from typing import Any, ClassVar, Self

from djtasks.conf import settings
from djtasks.domain.options import TASK_OPTIONS, check_limits, check_names, check_task_options
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks.hooks import Hooks
from djtasks.tasks.validation import validating


class FromSettings:
    """A task option that is as ``DJTASKS`` says, unless the task or its base class says otherwise."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return getattr(settings, self.key)


class Definition(Hooks):
    """The options of a task (TASK-1), its hooks and its body."""

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
    acks_on_timeout: Any = FromSettings("TASK_ACKS_ON_TIMEOUT")
    reject_on_worker_lost: Any = FromSettings("TASK_REJECT_ON_WORKER_LOST")
    max_deliveries: Any = FromSettings("MAX_DELIVERIES")
    time_limit: Any = FromSettings("TASK_TIME_LIMIT")
    soft_time_limit: Any = FromSettings("TASK_SOFT_TIME_LIMIT")
    rate_limit: Any = FromSettings("TASK_DEFAULT_RATE_LIMIT")
    track_started: Any = FromSettings("TASK_TRACK_STARTED")
    trail: bool = True
    throws: tuple[type[BaseException], ...] = ()
    typing: bool = True
    headers: Mapping[str, Any] | None = None
    tags: Sequence[str] = ()
    aliases: Sequence[str] = ()
    pydantic: bool = False
    pydantic_strict: bool = False
    pydantic_context: Mapping[str, Any] | None = None
    pydantic_dump_kwargs: Mapping[str, Any] | None = None
    sensitive: bool | tuple[str, ...] = False
    schedulable: Any = FromSettings("TASK_SCHEDULABLE")

    _may_be_none: ClassVar[frozenset[str]] = frozenset(
        {"max_retries", "expires", "headers", "retry_kwargs", "time_limit", "soft_time_limit", "rate_limit"}
    )
    _parameters: inspect.Signature | None = None
    _least: int = 0
    _most: int = -1

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"

    @classmethod
    def make(cls, function: Callable[..., Any], name: str, bind: bool, options: Mapping[str, Any]) -> Self:
        """Make the task of a callable; raise ImproperlyConfigured for options that cannot work."""
        check_names(options, TASK_OPTIONS, f"task {name!r}")
        given = {key: value for key, value in options.items() if cls.takes(key, value)}
        body = validating(function, name, cls, given) if given.get("pydantic", cls.pydantic) else function
        named: Any = function
        while isinstance(named, partial):
            named = named.func
        attributes = {
            **given,
            "name": name,
            "run": staticmethod(body),
            "__doc__": named.__doc__,
            "__module__": getattr(named, "__module__", None) or type(named).__module__,
            "__wrapped__": staticmethod(function),
            "__name__": getattr(named, "__name__", type(named).__name__),
        }
        task: Self = type(attributes["__name__"], (cls,), attributes)()
        if bind:
            # Not left to the class: partials and callable objects do not bind by themselves.
            task.run = MethodType(body, task)
        task._learn_parameters()
        task.check_options()
        return task

    @classmethod
    def takes(cls, option: str, value: Any) -> bool:
        """Say whether an option with this value counts: None leaves most of them as they are."""
        return value is not None or option in cls._may_be_none

    def check_options(self) -> None:
        """Raise ImproperlyConfigured for options that cannot work, whoever has set them."""
        check_task_options(self.name, {key: getattr(self, key) for key in TASK_OPTIONS})
        try:
            check_limits(self.own("soft_time_limit"), self.own("time_limit"))
        except ValueError as error:
            raise ImproperlyConfigured(f"task {self.name!r}: {error}") from None
        for key in ("autoretry_for", "dont_autoretry_for", "throws", "tags", "aliases"):
            setattr(type(self), key, tuple(getattr(self, key)))
        self._check_sensitive()

    def says(self, option: str) -> bool:
        """Say whether the task or its base class sets an option, so that the settings do not."""
        return not isinstance(inspect.getattr_static(self, option), FromSettings)

    def before_recorded(self, request: Any, attempt: Any) -> None:
        """Say of a run that it has ended, before that is recorded, where there is more to be said than the log says."""

    def stands_for(self, declared: object) -> bool:
        """Say whether this is what was declared, or was made of it."""
        return declared is self

    def own(self, option: str) -> Any:
        """Return what the task or its base class says of an option, or None where the settings say it."""
        return getattr(self, option) if self.says(option) else None

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

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the body takes, by name; empty where that is not known."""
        return {} if self._parameters is None else self._parameters.parameters

    def _check_sensitive(self) -> None:
        if isinstance(self.sensitive, bool):
            return
        type(self).sensitive = tuple(self.sensitive)
        takes_any = any(each.kind is each.VAR_KEYWORD for each in self.parameters.values())
        for name in self.sensitive:
            if self.parameters and not takes_any and name not in self.parameters:
                raise ImproperlyConfigured(
                    f"task {self.name!r}: sensitive names {name!r}, which the body does not take; "
                    f"it takes {', '.join(self.parameters)}"
                )
