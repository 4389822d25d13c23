"""A task as people see it at a moment: what the facts of its row mean then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from djtasks.admin.measures import roughly
from djtasks.admin.tasks.states import badge
from djtasks.beat.moments import from_row
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.domain.escaping import one_line
from djtasks.models import Invocation, Message, Result, Task, Worker
from djtasks.tasks import registry


@dataclass
class Seen:
    """A message or a result, at a moment of the database's clock."""

    row: Invocation
    now: datetime
    workers: dict[UUID, str] = field(default_factory=dict)
    # Taken where it is about to be run again.
    fingerprint: str = ""

    # What Django's list asks of a row.
    _meta = Task._meta

    def __str__(self) -> str:
        return str(self.row)

    def serializable_value(self, name: str) -> Any:
        """Return the value of a column."""
        return self.row.serializable_value(name)

    @property
    def pk(self) -> UUID:
        """The id."""
        return self.row.pk

    id = pk

    @property
    def result(self) -> Result | None:
        """Its result, if it has ended."""
        return self.row if isinstance(self.row, Result) else None

    @property
    def message(self) -> Message | None:
        """Its message, while it lives."""
        return self.row if isinstance(self.row, Message) else None

    @property
    def name(self) -> str:
        """The name of its task, as it may be shown on one line."""
        return one_line(self.row.task)

    @property
    def queue(self) -> str:
        """The name of its queue, as it may be shown on one line."""
        return one_line(self.row.queue)

    @property
    def short_id(self) -> str:
        """The id, as much of it as tells tasks apart."""
        text = str(self.pk)
        return f"{text[:13]}…{text[-4:]}"

    @property
    def age(self) -> str:
        """How long ago it was sent."""
        return _("%(duration)s ago") % {"duration": roughly(self.now - from_row(self.row.enqueued_at))}

    @property
    def label(self) -> str:
        """The word for its state: that of the living, or the state in which it has ended."""
        if self.message is None:
            return str(self.result and self.result.state)
        return states.label_of_message(
            due_at=_moment(self.row.due_at),
            leased_until=_moment(self.message.leased_until),
            started_at=_moment(self.row.started_at),
            retries=self.row.retries,
            now=self.now,
        )

    @property
    def badge(self) -> str:
        """Its state in text, shape and colour."""
        return badge(self.label)

    @property
    def began(self) -> bool:
        """Whether its body has begun in the delivery that is, or was the last."""
        return self.row.started_at is not None and (self.result is not None or self.label == states.RUNNING)

    @property
    def attempts(self) -> str:
        """How often its body has begun, as far as that is known, and how often it may."""
        begun = self.row.retries + (1 if self.began else 0)
        task = registry.find(self.row.task)
        if task is None:
            return str(begun)
        most = "∞" if task.max_retries is None else task.max_retries + 1
        return _("%(begun)d of %(most)s") % {"begun": begun, "most": most}

    @property
    def waited(self) -> timedelta | None:
        """How long it has been due without being run."""
        if self.row.due_at is None:
            return None
        until = from_row(self.row.started_at) if self.began and self.row.started_at else self._end
        return max(timedelta(), until - from_row(self.row.due_at)) if until > from_row(self.row.due_at) else None

    @property
    def ran(self) -> timedelta | None:
        """How long its body has run in the last delivery."""
        if not self.began or self.row.started_at is None:
            return None
        return max(timedelta(), self._end - from_row(self.row.started_at))

    @property
    def worker(self) -> str:
        """The worker that holds it, or that has ended it."""
        if self.result is not None and self.result.hostname:
            return one_line(self.result.hostname)
        holds = self.result is not None or self.label in (states.RESERVED, states.RUNNING)
        return one_line(self.workers.get(self.row.worker, str(self.row.worker))) if holds and self.row.worker else ""

    @property
    def _end(self) -> datetime:
        return self.now if self.result is None else from_row(self.result.finished_at)


def seen(rows: Iterable[Invocation]) -> Iterator[Seen]:
    """Look at rows, all at the same moment."""
    now = from_row(shared_vendor().now())
    workers = dict(Worker.objects.using(settings.DATABASE).values_list("pk", "name"))
    return (Seen(row, now, workers) for row in rows)


def _moment(value: Any) -> datetime | None:
    return None if value is None else from_row(value)
