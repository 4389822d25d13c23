"""Put prepared messages, and the edges between them, into the queue, and tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from djtasks import signals
from djtasks.broker.enqueue import enqueue, enqueue_workflow
from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Vendor, shared_vendor
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.batches import batches
from djtasks.domain.messages import NewMessage
from djtasks.domain.workflows import Edge
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Result

BATCH = 1000


def insert_or_find(message: NewMessage, options: Mapping[str, Any]) -> None:
    """Enqueue a message; one that is known already is an error, unless the caller expects it (CALL-9)."""
    try:
        insert([message], [message.id] if options.get("task_id") else [])
    except AlreadyEnqueued:
        if not options.get("exist_ok"):
            raise


def insert(messages: Sequence[NewMessage], chosen: Sequence[str]) -> datetime | None:
    """Enqueue messages, and say when; if one whose id the caller has chosen is known already, none is enqueued."""
    if chosen:
        vendor = shared_vendor()
        enqueued_at = patiently(vendor, _insert_chosen, vendor, messages, chosen)
    else:
        enqueued_at = enqueue(messages)
    if signals.after_task_publish.receivers:
        _tell_once_committed(messages)
    return enqueued_at


def insert_workflow(messages: Iterable[NewMessage], edges: Iterable[Edge], chosen: Iterable[str]) -> None:
    """Enqueue a workflow whose messages are read, and forgotten, a batch at a time; ``chosen`` is full by then."""
    told: list[NewMessage] = []
    if signals.after_task_publish.receivers:
        messages = _noted(messages, told)
    with shared_vendor().atomic():
        enqueue_workflow(messages, edges)
        _check_that_none_has_ended(chosen)
    if told:
        _tell_once_committed(told)


def _insert_chosen(vendor: Vendor, messages: Sequence[NewMessage], chosen: Sequence[str]) -> datetime | None:
    with vendor.atomic():
        enqueued_at = enqueue(messages, chosen)
        _check_that_none_has_ended(chosen)
    return enqueued_at


def _noted(messages: Iterable[NewMessage], told: list[NewMessage]) -> Iterator[NewMessage]:
    for message in messages:
        told.append(message)
        yield message


def _check_that_none_has_ended(chosen: Iterable[str]) -> None:
    """Raise AlreadyEnqueued for an id that has a result; looked for last, as a living message may just have ended."""
    for some in batches(chosen, BATCH):
        ended = Result.objects.using(settings.DATABASE).filter(pk__in=some).values_list("pk", flat=True)
        for task_id in ended[:1]:
            raise AlreadyEnqueued(f"the task with the task_id {task_id} has ended already; see exist_ok=True")


def _tell_once_committed(messages: Sequence[NewMessage]) -> None:
    transaction.on_commit(partial(_tell_after, messages), using=settings.DATABASE, robust=True)


def _tell_after(messages: Sequence[NewMessage]) -> None:
    for message in messages:
        body = payloads.decode(message.args), payloads.decode(message.kwargs)
        headers = payloads.decode(message.options).get("headers", {})
        facts = {"task_id": message.id, "body": body, "headers": headers, "routing_key": message.queue}
        signals.send(signals.after_task_publish, message.task, **facts)
