"""How a body asks to be run again, and what that changes in its message (RETRY-1 to RETRY-7)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from django.conf import settings as django_settings
from django.utils import timezone

from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.identifiers import check_priority, check_queue_name
from djtasks.domain.options import check_names, epoch_of, seconds_of
from djtasks.domain.retries import exhausted
from djtasks.exceptions import MaxRetriesExceededError, Retry
from djtasks.tasks import routing
from djtasks.tasks.context import Request

if TYPE_CHECKING:
    from djtasks.tasks.definition import Definition


def _queue(name: Any) -> str:
    return routing.check_known(check_queue_name(name))


OPTIONS: dict[str, Callable[[Any], Any]] = {"queue": _queue, "priority": check_priority}
# What a message keeps from its call, however often it is run (RETRY-2).
KEPT = frozenset({"time_limit", "soft_time_limit", "expires", "headers", "stamped_headers", "tags", "shadow"})


def ask(
    task: Definition,
    request: Request,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    exc: BaseException | None,
    when: datetime | timedelta | float | None,
    max_retries: int | None,
    options: dict[str, Any],
) -> Retry:
    """Make the Retry, or raise the error where no retry is left or nobody could run it again."""
    if request.called_directly:
        _raise(exc or Retry("a task can only be retried where a worker runs it"))
    if exhausted(request.retries, task.max_retries if max_retries is None else max_retries):
        _raise(
            exc
            or MaxRetriesExceededError(
                f"can't retry {task.name}[{request.id}] again: it has been retried {request.retries} times"
            )
        )
    if args is not None or kwargs is not None:
        task.check_arguments(
            request.args if args is None else tuple(args), request.kwargs if kwargs is None else kwargs
        )
    if isinstance(when, timedelta):
        when = when.total_seconds()
    again = Retry(
        exc=exc,
        when=task.default_retry_delay if when is None else when,
        args=None if args is None else tuple(args),
        kwargs=None if kwargs is None else dict(kwargs),
        options=options,
    )
    # What cannot be written is best heard of in the line that asks for it.
    changes(again)
    return again


def changes(again: Retry) -> dict[str, Any]:
    """Say what a Retry changes in its message; raise TypeError or ValueError for what cannot be written."""
    limit = settings.MAX_PAYLOAD_BYTES
    for name in KEPT.intersection(again.options):
        raise TypeError(f"retry() takes no option {name!r}: the message keeps that of its call; leave it out")
    check_names(again.options, OPTIONS, "retry()")
    change = {name: OPTIONS[name](value) for name, value in again.options.items() if value is not None}
    if isinstance(again.when, datetime):
        change["due_at"] = epoch_of(again.when, "eta", django_settings.USE_TZ, timezone.get_default_timezone())
    else:
        change["delay"] = max(0.0, seconds_of(again.when or 0, "countdown"))
    if again.new_args is not None:
        change["args"] = payloads.encode(list(again.new_args), where="args", max_bytes=limit)
    if again.new_kwargs is not None:
        change["kwargs"] = payloads.encode(again.new_kwargs, where="kwargs", max_bytes=limit)
    return change


def _raise(error: BaseException) -> NoReturn:
    """Raise the error, chained to the one that is being handled (RETRY-5)."""
    active = sys.exc_info()[1]
    if active is None or active is error:
        raise error
    raise error from active
