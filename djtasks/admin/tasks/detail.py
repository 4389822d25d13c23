"""All that is known of one task, for its page; arguments, results and what errors say only for who may see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from djtasks.admin.choosing import complaint_about
from djtasks.admin.measures import in_words
from djtasks.admin.tasks.criteria import Criteria
from djtasks.admin.tasks.listing import Listing
from djtasks.admin.tasks.seen import Seen, seen
from djtasks.admin.tasks.timeline import timeline
from djtasks.admin.tasks.workflow.around import around, by_index
from djtasks.admin.tasks.workflow.drawing import picture, steps
from djtasks.admin.texts import as_text
from djtasks.conf import settings
from djtasks.domain.escaping import one_line
from djtasks.models import Dependency, Message, Result
from djtasks.tasks import registry
from djtasks.tasks.masking import shown_arguments, shown_value
from djtasks.tasks.resending import SENT_BY

if TYPE_CHECKING:
    from djtasks.admin.tasks.admin import TaskAdmin

MOST_RELATED = 50
# What else is kept with a message may hold arguments of other tasks.
SHOWN_OPTIONS = (
    *("headers", "stamped_headers", "tags", "shadow", "time_limit", "soft_time_limit", "ignore_result"),
    *("schedule", "slot"),
)
RELATIONS: Mapping[str, Any] = {
    "root": _("First of its workflow"),
    "parent": _("Parent"),
    "waits_for": _("Waits for"),
    "awaited_by": _("Waited for by"),
    "children": _("Children"),
}


class Attempt(NamedTuple):
    """How an attempt went wrong."""

    kind: str
    error: str
    message: str
    traceback: str
    where: str
    delivery: Any


class Relation(NamedTuple):
    """Other tasks that belong to this one."""

    title: Any
    tasks: Sequence[Seen]
    more: bool


def detail(admin: TaskAdmin, request: HttpRequest, task: Seen) -> dict[str, Any]:
    """Return what the page of a task shows."""
    shows_payload = admin.has_payload_permission(request)
    listing = admin.listing(request, Criteria())
    return {
        "task": task,
        "waited": in_words(task.waited),
        "ran": in_words(task.ran),
        "sent_by": _sender(task),
        "events": timeline(task),
        "attempts": [_attempt(error, shows_payload) for error in task.row.errors],
        "relations": list(_relations(listing, task)),
        **_workflow(listing, task),
        "is_known": registry.find(task.row.task) is not None,
        "may_be_chosen": not complaint_about(task.row.task),
        "shows_payload": shows_payload,
        **(_payload(task) if shows_payload else {}),
    }


def _sender(task: Seen) -> str:
    """Name the operator who sent it, where one did (S9)."""
    options = task.row.options if isinstance(task.row.options, Mapping) else {}
    return one_line(str(options.get(SENT_BY) or ""))


def _workflow(listing: Listing, task: Seen) -> dict[str, Any]:
    surroundings = around(listing, task)
    if not surroundings.links:
        return {}
    return {
        "surroundings": surroundings,
        "picture": picture(surroundings, task.pk),
        "steps": list(steps(surroundings)),
    }


def _payload(task: Seen) -> dict[str, Any]:
    row = task.row
    args, kwargs = shown_arguments(row.task, row.args, row.kwargs, row.options)
    options = row.options if isinstance(row.options, Mapping) else {}
    known = {name: options[name] for name in SHOWN_OPTIONS if name in options}
    shown: dict[str, Any] = {
        "args": as_text(args),
        "kwargs": as_text(kwargs),
        "options": as_text(known) if known else "",
    }
    if isinstance(row, Result):
        shown["value"] = as_text(shown_value(row.task, row.value, row.options))
    if isinstance(row, Message) and row.meta is not None:
        meta = shown_value(row.task, row.meta, row.options)
        shown |= {"meta": as_text(meta), "progress": _progress(meta)}
    return shown


def _progress(meta: Any) -> Any:
    """Read how far a task says it is."""
    done, total = (meta.get("done"), meta.get("total")) if isinstance(meta, dict) else (None, None)
    if isinstance(done, (int, float)) and isinstance(total, (int, float)) and total > 0:
        return {"done": done, "total": total, "message": as_text(str(meta.get("message") or ""))}
    return None


def _attempt(error: Mapping[str, Any], shows_payload: bool) -> Attempt:
    said = {name: as_text(error.get(name) or "") if shows_payload else "" for name in ("message", "traceback")}
    return Attempt(
        kind=as_text(error.get("kind") or ""),
        error=as_text(error.get("type") or ""),
        message=said["message"],
        traceback=said["traceback"],
        where=as_text(error.get("hostname") or error.get("worker") or ""),
        delivery=error.get("delivery"),
    )


def _relations(listing: Listing, task: Seen) -> Iterator[Relation]:
    for name, ids in _related(task).items():
        if ids:
            found = listing.find(ids[:MOST_RELATED], in_full=False)
            yield Relation(RELATIONS[name], list(seen(found)), len(ids) > MOST_RELATED)


def _related(task: Seen) -> dict[str, list[UUID]]:
    """Say which tasks this one came of, waits for, is waited for by, and has sent."""
    edges = Dependency.objects.using(settings.DATABASE)
    waits_for = by_index(edges, [task.pk], "message", "position").values_list("upstream", flat=True)
    awaited_by = by_index(edges, [task.pk], "upstream").values_list("message", flat=True)
    roots = [task.row.root] if task.row.root and task.row.root not in (task.pk, task.row.parent) else []
    return {
        "root": roots,
        "parent": [task.row.parent] if task.row.parent else [],
        "waits_for": _some(waits_for),
        "awaited_by": _some(awaited_by),
        "children": [*_children(Message, task), *_children(Result, task)],
    }


def _children(table: Any, task: Seen) -> list[UUID]:
    rows = table.objects.using(settings.DATABASE)
    return _some(by_index(rows, [task.pk], "parent").values_list("pk", flat=True))


def _some(ids: QuerySet[Any, Any]) -> list[UUID]:
    return list(ids[: MOST_RELATED + 1])
