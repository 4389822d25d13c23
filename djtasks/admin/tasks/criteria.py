"""Which tasks are asked for: what the filters and the search of the list say, for messages and for results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from djtasks.admin.tasks.searching import Search, search_for
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.domain.identifiers import as_uuid
from djtasks.models import Invocation, Message, Result, Slot, Worker
from djtasks.models.clock import Now

LIVE = "live"
ENDED = "ended"
MOST_SLOTS = 1000

_HELD = Q(leased_until__gt=Now())
_FREE = Q(leased_until=None) | Q(leased_until__lte=Now())
OF_MESSAGES: Mapping[str, Q] = {
    LIVE: Q(),
    states.READY: _FREE & Q(due_at__lte=Now()),
    states.DELAYED: _FREE & Q(due_at__gt=Now(), retries=0),
    states.RETRYING: _FREE & Q(due_at__gt=Now(), retries__gt=0),
    states.BLOCKED: _FREE & Q(due_at=None),
    states.RESERVED: _HELD & Q(started_at=None),
    states.RUNNING: _HELD & Q(started_at__isnull=False),
}


@dataclass(frozen=True)
class Criteria:
    """What a task must be like to be listed."""

    state: str = ""
    task: str = ""
    queue: str = ""
    worker: str = ""
    schedule: str = ""
    workflow: UUID | None = None
    within: timedelta | None = None
    # What was sent later is not meant by who has not seen it.
    until: datetime | None = None
    search: Search = field(default_factory=Search)

    @property
    def is_exact(self) -> bool:
        """Whether an index finds all that fits, however few these are."""
        return bool(self.search.is_exact or self.schedule)

    @property
    def narrows(self) -> bool:
        """Whether there may be many tasks that do not fit."""
        return self != Criteria(until=self.until)

    def of(self, table: type[Invocation]) -> Q | None:
        """Say what the database can tell of rows of this table; None where none can fit."""
        states_fit = self._of_state(table)
        if states_fit is None:
            return None
        given = {"task": self.task, "queue": self.queue}
        fits = states_fit & Q(**{name: value for name, value in given.items() if value}) & self.search.in_sql()
        if self.worker:
            fits &= self._of_worker(table)
        if self.schedule:
            slots = Slot.objects.using(settings.DATABASE).filter(schedule__name=self.schedule, message__isnull=False)
            fits &= Q(pk__in=list(slots.order_by("-due_at").values_list("message", flat=True)[:MOST_SLOTS]))
        if self.workflow:
            fits &= Q(pk=self.workflow) | Q(root=self.workflow) | Q(group=self.workflow) | Q(parent=self.workflow)
        if self.within:
            fits &= Q(enqueued_at__gte=Now() - self.within)
        if self.until:
            fits &= Q(enqueued_at__lte=self.until)
        return fits

    def _of_state(self, table: type[Invocation]) -> Q | None:
        if not self.state:
            return Q()
        if table is Message:
            return OF_MESSAGES.get(self.state)
        if self.state in OF_MESSAGES:
            return None
        return Q() if self.state == ENDED else Q(state=self.state)

    def _of_worker(self, table: type[Invocation]) -> Q:
        named = Worker.objects.using(settings.DATABASE).filter(name=self.worker).values_list("pk", flat=True)
        known = Q(worker__in=[*named, *_ids(self.worker)])
        return known | Q(hostname=self.worker) if table is Result else known & Q(leased_until__isnull=False)


def criteria_of(given: Mapping[str, Any]) -> Criteria:
    """Read the parameters of an address; raise ValueError for what cannot be meant."""
    state, task, queue, worker, schedule = (
        str(given.get(name) or "").replace("\0", "") for name in ("state", "task", "queue", "worker", "schedule")
    )
    return Criteria(
        state,
        task,
        queue,
        worker,
        schedule,
        workflow=as_uuid(given["workflow"]) if given.get("workflow") else None,
        within=timedelta(seconds=min(int(given["within"]), 10**9)) if given.get("within") else None,
        search=search_for(str(given.get("q") or "")),
    )


def _ids(text: str) -> list[UUID]:
    try:
        return [as_uuid(text)]
    except ValueError:
        return []
