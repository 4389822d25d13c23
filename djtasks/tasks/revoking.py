"""Revoke messages, one or many: each by the one conditional verb (WORK-9); and tell those who listen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from djtasks import signals
from djtasks.broker.preceding import preceding
from djtasks.broker.revoke import Answer
from djtasks.broker.revoke import revoke as revoke_message
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.models import Message, Result
from djtasks.tasks import registry
from djtasks.tasks.context import Request

PAGE = 500


def revoke(message_id: UUID, *, terminate: str = "") -> Answer:
    """Revoke a message; of one whose body never begins nobody but this can tell."""
    answer = revoke_message(message_id, terminate=terminate)
    if answer == "revoked" and signals.task_revoked.receivers:
        transaction.on_commit(partial(_tell, message_id), using=settings.DATABASE, robust=True)
    return answer


def revoke_workflow(ids: Sequence[UUID], *, terminate: str = "") -> dict[UUID, Answer]:
    """Revoke messages and what precedes them; return the answers for those that were named."""
    before = preceding(ids)
    # These first, so that they end as revoked, and not as those for which something else was revoked.
    answers = {each: revoke(each, terminate=terminate) for each in ids}
    for each in before:
        revoke(each, terminate=terminate)
    return answers


def _tell(message_id: UUID) -> None:
    record = Result.objects.using(settings.DATABASE).filter(pk=message_id).first()
    if record is None:
        return
    request = Request(id=str(record.pk), task=record.task, retries=record.retries, queue=record.queue)
    if isinstance(record.args, list) and isinstance(record.kwargs, dict):
        request.args, request.kwargs = tuple(record.args), record.kwargs
    facts = {"task_id": request.id, "terminated": False, "signum": None, "expired": False}
    signals.send(signals.task_revoked, registry.find(record.task), request=request, **facts)


def revoke_matching(
    revoke: Callable[[UUID], Answer],
    *,
    task: str | None = None,
    queue: str | None = None,
    tag: str | None = None,
    stamps: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Revoke every living message that fits all that is given, page by page; return how many gave which answer.

    What is sent after this began is left alone, so that it comes to an end. Raises TypeError where nothing is given.
    """
    if not (task or queue or tag or stamps):
        raise TypeError("say which messages to revoke: task=…, queue=…, tag=… or stamps=…; to empty queues use purge")
    if stamps is not None and not isinstance(stamps, Mapping):
        raise TypeError(f"stamps is a dict of headers and their values, not {stamps!r:.80}")
    counts: dict[str, int] = dict.fromkeys(("revoked", "requested", "too_late"), 0)
    for message_id in _matching(task, queue, tag, stamps):
        counts[revoke(message_id)] += 1
    return counts


def _matching(task: str | None, queue: str | None, tag: str | None, stamps: Mapping[str, Any] | None) -> Iterator[UUID]:
    given = {name: value for name, value in (("task", task), ("queue", queue)) if value}
    living = Message.objects.using(settings.DATABASE).filter(enqueued_at__lte=shared_vendor().now(), **given)
    last = UUID(int=0)
    while page := list(living.filter(pk__gt=last).order_by("pk").values_list("pk", "options")[:PAGE]):
        last = page[-1][0]
        for message_id, options in page:
            if _fits(options, tag, stamps):
                yield message_id


def _fits(options: Any, tag: str | None, stamps: Mapping[str, Any] | None) -> bool:
    known = options if isinstance(options, dict) else {}
    return (not tag or tag in _members(known.get("tags"))) and (not stamps or is_stamped(known, stamps))


def is_stamped(options: Mapping[str, Any], stamps: Mapping[str, Any]) -> bool:
    """Say whether a message bears one of these stamps; of either side a stamp may have several values."""
    headers = options.get("headers")
    if not isinstance(headers, Mapping):
        return False
    for name in _members(options.get("stamped_headers")):
        if name in stamps and any(value in _members(stamps[name]) for value in _members(headers.get(name))):
            return True
    return False


def _members(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
