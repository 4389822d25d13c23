"""Run what has ended again under its own id: one task, or what has failed of a workflow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from django.db import connections
from django.db.models import Exists, F, OuterRef

from djtasks.broker.enqueue import enqueue_workflow
from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Vendor, shared_vendor
from djtasks.broker.vendors.rows import as_id, as_text
from djtasks.conf import settings
from djtasks.domain import states
from djtasks.domain.batches import batches
from djtasks.domain.messages import NewMessage
from djtasks.domain.workflows import END, FAILURE, FEEDS, FEEDS_NOBODY, FEEDS_ON_FAILURE, NO_EDGES, OPEN
from djtasks.models import Dependency, Message, Result

BATCH = 1000
Answer = Literal["requeued", "alive", "unknown"]


def requeue(message_id: UUID) -> Answer:
    """Turn a result back into a message that is due now.

    "requeued": it runs again, with its history and with a fence above every earlier delivery (B10). "alive": it waits
    or runs, and nothing was done. "unknown": nothing is kept of it. What has never run, since it waited for something
    that failed, is run again together with that.
    """
    vendor = shared_vendor()
    if answer := patiently(vendor, _requeue_alone, vendor, message_id):
        return answer
    return "requeued" if message_id in requeue_workflow([message_id]) else "unknown"


def requeue_workflow(ids: Collection[UUID]) -> list[UUID]:
    """Turn what has failed before these, and all that was ended because of it, into messages again; return their ids.

    What has failed by itself is due now; the rest waits for it as it did before. What has succeeded stays as it is, and
    what lives is left alone. So is what waits for something of which nothing is kept.
    """
    vendor = shared_vendor()
    while failed := _failed_together(ids):
        # Else somebody was quicker, or something else has failed meanwhile.
        if patiently(vendor, _requeue_together, vendor, ids, failed):
            return sorted(failed)
    return []


def _requeue_alone(vendor: Vendor, message_id: UUID) -> Answer | None:
    """Requeue what has no part in a workflow that it waited for; None is for what has."""
    with vendor.atomic():
        # The lock, or where there is none the file's, decides between two who ask at once (B11).
        results = _locked([message_id])
        if _rows(Message).filter(pk=message_id).exists():
            return "alive"
        if not results:
            return "unknown"
        if results[0].inputs != NO_EDGES:
            return None
        _rows(Result).filter(pk=message_id).delete()
        enqueue_workflow([_message_of(results[0], _feeds([message_id]))], ())
        _remember(results)
    return "requeued"


def _requeue_together(vendor: Vendor, ids: Collection[UUID], failed: set[UUID]) -> bool:
    """Requeue what has failed of a workflow, if it is still that."""
    with vendor.atomic():
        results = _locked(sorted(failed))
        is_still_so = len(results) == len(failed) and _failed_together(ids) == failed
        if is_still_so:
            _restart(results)
    return is_still_so


def _failed_together(ids: Collection[UUID]) -> set[UUID]:
    """Find what can be run again: up from these to what failed by itself, and down to all that was ended with it."""
    unsatisfied = _rows(Dependency).exclude(fate=OPEN).exclude(on=END).exclude(on=F("fate"))
    found: set[UUID] = set()
    needs: dict[UUID, set[UUID]] = defaultdict(set)
    seen = fresh = set(ids)
    while fresh:
        near: set[UUID] = set()
        for some in batches(fresh, BATCH):
            ended = _rows(Result).filter(pk__in=some, state__in=states.PROPAGATE_STATES)
            failed = set(ended.values_list("pk", flat=True))
            found |= failed
            for message, upstream in unsatisfied.filter(message__in=failed).values_list("message", "upstream"):
                needs[message].add(upstream)
                near.add(upstream)
            near.update(unsatisfied.filter(upstream__in=failed).values_list("message", flat=True))
        fresh = near - seen
        seen = seen | fresh
    while stuck := {each for each in found if not needs[each] <= found}:
        found -= stuck
    return found


def _locked(ids: Sequence[UUID]) -> list[Result]:
    """Lock results, and how far those have come for whom their messages still wait, in the order of ids."""
    if not connections[settings.DATABASE].features.has_select_for_update:
        # A transaction that only reads first may not be allowed to write later.
        _rows(Result).filter(pk__in=ids[:1]).update(state=F("state"))
        return [result for some in batches(ids, BATCH) for result in _rows(Result).filter(pk__in=some).order_by("pk")]
    results: list[Result] = []
    for some in batches(ids, BATCH):
        results += _rows(Result).filter(pk__in=some).order_by("pk").select_for_update()
    for some in batches((result.pk for result in results if result.inputs != NO_EDGES), BATCH):
        list(_rows(Dependency).filter(message__in=some, fate=OPEN).order_by("pk").select_for_update())
    return results


def _restart(results: Sequence[Result]) -> None:
    ids = [result.pk for result in results]
    ended = Exists(_rows(Result).filter(pk=OuterRef("message")))
    blocked: set[UUID] = set()
    for some in batches(ids, BATCH):
        _rows(Dependency).filter(ended, upstream__in=some).update(fate=OPEN, value=None)
    for some in batches(ids, BATCH):
        blocked.update(_rows(Dependency).filter(message__in=some, fate=OPEN).values_list("message", flat=True))
        _rows(Result).filter(pk__in=some).delete()
    feeds = _feeds(ids)
    enqueue_workflow((_message_of(result, feeds, result.pk in blocked) for result in results), ())
    _remember(results)


def _feeds(ids: Sequence[UUID]) -> dict[UUID, int]:
    """Say who waits for these: nobody where nothing is said."""
    feeds: dict[UUID, int] = {}
    for some in batches(ids, BATCH):
        edges = _rows(Dependency).filter(upstream__in=some)
        for upstream, on in edges.order_by().values_list("upstream", "on").distinct():
            feeds[upstream] = max(feeds.get(upstream, FEEDS_NOBODY), FEEDS_ON_FAILURE if on == FAILURE else FEEDS)
    return feeds


def _remember(results: Sequence[Result]) -> None:
    """Give messages the numbers of their deliveries, and the history of those that have run."""
    messages = [Message(pk=result.pk, deliveries=result.deliveries) for result in results]
    for message, result in zip(messages, results, strict=True):
        message.errors = result.errors if result.inputs == NO_EDGES else []
    _rows(Message).bulk_update(messages, ["deliveries", "errors"], batch_size=BATCH)


def _message_of(result: Result, feeds: Mapping[UUID, int], blocked: bool = False) -> NewMessage:
    return NewMessage(
        id=str(result.pk),
        task=result.task,
        args=as_text(result.args),
        kwargs=as_text(result.kwargs),
        queue=result.queue,
        priority=result.priority,
        options=as_text(result.options),
        group=as_id(result.group),
        root=as_id(result.root),
        parent=as_id(result.parent),
        inputs=result.inputs,
        feeds=feeds.get(result.pk, FEEDS_NOBODY),
        blocked=blocked,
    )


def _rows(table: Any) -> Any:
    return table.objects.using(settings.DATABASE)
