"""Every exception that djtasks raises, under one base; the names are Celery's where the meaning is."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured as DjangoImproperlyConfigured


class DjtasksError(Exception):
    """Base of all that djtasks raises."""


class ImproperlyConfigured(DjtasksError, DjangoImproperlyConfigured):
    """A setting, a task or an option is wrong in a way that only the programmer can mend."""


class AlreadyRegistered(ImproperlyConfigured):
    """Two different callables ask for the same task name."""


class NotRegistered(DjtasksError, KeyError):
    """No task of this name is registered in this process."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "no such task"


class ScheduleNotFound(DjtasksError, KeyError):
    """There is no schedule of this name."""

    __str__ = Exception.__str__


class NotDeclared(DjtasksError, LookupError):
    """The arguments of a schedule are made when it is sent, by code that this process does not have (BEAT-9)."""


class QueueNotFound(DjtasksError, KeyError):
    """The queue is not one of those that the settings name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "no such queue"


class AlreadyEnqueued(DjtasksError):
    """A message or result with this task id exists (CALL-9); ``exist_ok=True`` returns its handle instead."""


class EncodeError(DjtasksError, TypeError):
    """A value cannot be stored; the message names the path to it and the fix."""


class DecodeError(DjtasksError, ValueError):
    """A stored value cannot be read back."""


class ResultNotFound(DjtasksError, LookupError):
    """Neither a message nor a result has this id: it never was, expired, or its result was ignored."""


class TimeoutError(DjtasksError, builtins.TimeoutError):
    """The result was not there in time; the task goes on."""


class TaskRevokedError(DjtasksError):
    """The task was revoked, or expired, before it could run."""


class WorkerLostError(DjtasksError):
    """The worker or the pool child that ran the task died or vanished."""


class LeaseLost(DjtasksError):
    """The message is no longer this run's own: its lease ran out and another worker holds or settled it."""


class SoftTimeLimitExceeded(DjtasksError):
    """The soft time limit passed; raised inside the body, which may catch it."""


class TimeLimitExceeded(DjtasksError):
    """The hard time limit passed and the run was ended."""


class IncompleteStream(DjtasksError):
    """A result tree was walked before all of it had ended."""


class ChordError(DjtasksError):
    """A member of a chord's header failed, so its body cannot run."""


class TaskPredicate(DjtasksError):
    """Base of what a body raises to tell the worker something; none of these is an error."""


class Ignore(TaskPredicate):
    """End the run without recording a state (TASK-4)."""


class Replaced(Ignore):
    """End the run, and let others take its place: raised by ``Task.replace`` (CANV-12).

    ``messages`` and ``edges`` are what is inserted instead, as lists of fields.
    """

    def __init__(self, messages: list[list[Any]], edges: list[list[Any]]) -> None:
        super().__init__("replaced")
        self.messages = messages
        self.edges = edges


class Reject(TaskPredicate):
    """Refuse the message: back to its queue with ``requeue``, else it ends as FAILURE (TASK-4)."""

    def __init__(self, reason: Any = None, requeue: bool = False) -> None:
        super().__init__(reason, requeue)
        self.reason = reason
        self.requeue = requeue

    def __str__(self) -> str:
        return f"rejected{' to be received again' if self.requeue else ''}: {self.reason}"


class Retry(TaskPredicate):
    """Run the task again later: raised by ``Task.retry`` (RETRY-1).

    ``when`` is the delay in seconds or the moment; ``exc`` what made the retry necessary.
    """

    def __init__(
        self,
        message: str | None = None,
        exc: BaseException | None = None,
        when: float | datetime | None = None,
        *,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, exc, when)
        self.message = message
        self.exc = exc
        self.when = when
        self.new_args = args
        self.new_kwargs = kwargs
        self.options = options or {}

    def __str__(self) -> str:
        if self.message:
            return self.message
        moment = f"at {self.when}" if isinstance(self.when, datetime) else f"in {self.when or 0}s"
        return f"Retry {moment}" + (f": {self.exc!r}" if self.exc is not None else "")


class MaxRetriesExceededError(DjtasksError):
    """``retry`` was called more often than ``max_retries`` allows and no ``exc`` was given (RETRY-5)."""
