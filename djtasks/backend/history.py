"""The attempts at a task, as Django counts them, read from what its row tells of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings as django_settings
from django.db import connections
from django.utils import timezone

from djtasks.compat import TaskError
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.models import Message, Result

Record = Mapping[str, Any]


class Attempt(NamedTuple):
    """A body that has begun: in which worker, and when."""

    worker_id: str
    started_at: datetime | None


class History(NamedTuple):
    """All attempts at a task, oldest first, and an error for each that failed."""

    attempts: list[Attempt]
    errors: list[Any]

    @property
    def started_at(self) -> datetime | None:
        """When the first began."""
        return self.attempts[0].started_at if self.attempts else None

    @property
    def last_attempted_at(self) -> datetime | None:
        """When the last began."""
        return self.attempts[-1].started_at if self.attempts else None

    @property
    def worker_ids(self) -> list[str]:
        """The worker of each."""
        return [attempt.worker_id for attempt in self.attempts]

    def and_then(self, attempt: Attempt) -> History:
        """Add an attempt."""
        return History([*self.attempts, attempt], self.errors)


def of_errors(errors: Iterable[Record]) -> History:
    """Read what failed; what is recorded without a start, such as a lease that ran out unused, was no attempt."""
    failed = [error for error in errors if error.get("started_at")]
    return History([_attempt_of(error) for error in failed], [error_of(error) for error in failed])


def of_message(message: Message, is_running: bool) -> History:
    """Read the attempts at a task that has not ended."""
    history = of_errors(message.errors)
    return history.and_then(_present(message)) if is_running else history


def of_result(result: Result) -> History:
    """Read the attempts at a task that has ended."""
    if result.state == states.SUCCESS or not result.errors:
        return of_errors(result.errors).and_then(_present(result))
    *earlier, last = result.errors
    history = of_errors(earlier)
    if _only_repeats(last, earlier):
        return history
    if result.started_at is not None:
        history = history.and_then(_present(result))
    return History(history.attempts, [*history.errors, error_of(last)])


def _only_repeats(last: Record, earlier: list[Record]) -> bool:
    """Say whether the last error is but the verdict over a delivery that was noted as lost before."""
    return bool(earlier) and earlier[-1].get("kind") == "lost" and last.get("type") == earlier[-1].get("type")


def _present(record: Message | Result) -> Attempt:
    # Those that ran in the process that sent them had no worker.
    hostname = record.hostname if isinstance(record, Result) else ""
    return Attempt(str(record.worker or hostname), record.started_at)


def _attempt_of(error: Record) -> Attempt:
    return Attempt(_worker_of(error), _moment_of(error["started_at"]))


def error_of(error: Record) -> Any:
    """Make Django's record of an error of ours."""
    path, message = str(error.get("type", "")), str(error.get("message", ""))
    return TaskError(exception_class_path=path, traceback=str(error.get("traceback") or f"{path}: {message}\n"))


def _worker_of(error: Record) -> str:
    worker = str(error.get("worker") or error.get("hostname") or "")
    try:
        # SQLite writes its lapses down as it finds ids in the table, without dashes.
        return str(UUID(worker))
    except ValueError:
        return worker


def _moment_of(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment, connections[settings.DATABASE].timezone)
    return as_here(moment)


def as_here(moment: datetime | None) -> datetime | None:
    """Return an aware moment as this project's kind of datetime."""
    return moment if moment is None or django_settings.USE_TZ else timezone.make_naive(moment)
