"""Run what is queued, here and now, and raise what went wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from time import sleep
from typing import Any

from asgiref.sync import sync_to_async

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain import outcomes
from djtasks.models import Message
from djtasks.testing.crashes import Crash
from djtasks.testing.inline import Delivery, InlineWorker
from djtasks.testing.time import travel

ENDLESS = 1000
MOMENT = 0.01
MOST_LOOKS = 500

Queues = str | Collection[str] | None


def drain(
    queue: Queues = None, *, delayed: bool = False, propagate: bool = True, at_most: int = ENDLESS
) -> list[Delivery]:
    """Run messages until nothing is due any more, of these queues or of all, and return what became of each delivery.

    With ``delayed`` the time passes for what is not due yet, until nothing is left. A task that fails keeps no other
    from running; its exception is raised in the end, several as an ExceptionGroup, unless ``propagate`` is off.
    """
    return run_pending(queue, delayed=delayed, propagate=propagate, at_most=at_most)


def run_pending(
    queue: Queues = None,
    *,
    until_empty: bool = True,
    delayed: bool = False,
    propagate: bool = True,
    at_most: int = ENDLESS,
) -> list[Delivery]:
    """Run messages as ``drain`` does; without ``until_empty`` those alone that are due now, not what they lead to."""
    queues = names_of(queue)
    deliveries: list[Delivery] = []
    with ExitStack() as journey:
        running = _until_empty(queues, journey if delayed else None) if until_empty else _due_now(queues, at_most)
        for delivery in running:
            deliveries.append(delivery)
            if until_empty and len(deliveries) > at_most:
                last = ", ".join(f"{each.task} {each.state}" for each in deliveries[-3:])
                raise AssertionError(f"there is no end to it: {at_most} messages were run, the last ones {last}")
    if propagate:
        raise_errors(deliveries)
    return deliveries


async def adrain(queue: Queues = None, **options: Any) -> list[Delivery]:
    """Drain from a test that is a coroutine."""
    return await sync_to_async(drain)(queue, **options)


def raise_errors(deliveries: Sequence[Delivery]) -> None:
    """Raise what tasks have failed with: one exception as it is, several in a group."""
    errors = []
    for each in deliveries:
        if isinstance(each.outcome, outcomes.Failure) and each.error is not None:
            each.error.add_note(f"in {each.task}[{each.id}], delivery {each.number}")
            errors.append(each.error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} tasks failed", errors)


def names_of(queue: Queues) -> tuple[str, ...]:
    """Return the queues that are meant; none stands for all."""
    return () if queue is None else (queue,) if isinstance(queue, str) else tuple(queue)


def _until_empty(queues: Sequence[str], journey: ExitStack | None) -> Iterator[Delivery]:
    """Deliver one message after the other; where a worker dies, another one goes on."""
    worker = InlineWorker()
    looks = 0
    while looks < MOST_LOOKS:
        try:
            if messages := worker.reserve(*queues, begin=False):
                looks = 0
                yield worker.deliver(*messages)
                continue
        except Crash:
            worker.die()
            worker = InlineWorker()
            continue
        rest = _until_next(queues)
        if rest is None or (rest and journey is None):
            return
        if rest and journey is not None:
            journey.enter_context(travel(rest, beat=False))
            continue
        # Somebody has locked it for a moment, so that it was passed by.
        looks += 1
        sleep(MOMENT)


def _due_now(queues: Sequence[str], most: int) -> Iterator[Delivery]:
    """Deliver what is due, as far as its worker lives."""
    worker = InlineWorker()
    try:
        for message in worker.reserve(*queues, limit=most, begin=False):
            yield worker.deliver(message)
    except Crash:
        worker.die()


def _until_next(queues: Sequence[str]) -> timedelta | None:
    """Return the time until a message can be received, if there is one: none at all for one that is due."""
    free = Message.objects.using(settings.DATABASE).filter(leased_until=None, due_at__isnull=False)
    wanted = free.filter(queue__in=queues) if queues else free
    due_at = wanted.order_by("due_at").values_list("due_at", flat=True).first()
    return None if due_at is None else max(timedelta(), due_at - shared_vendor().now())
