"""A worker without processes: real reservations, verdicts, runs and settlements, one message after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils import timezone

from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.conf import settings
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Demand, Reservation
from djtasks.domain.outcomes import Outcome, Settlement
from djtasks.models import Message
from djtasks.worker import judge
from djtasks.worker.execution import Holder, Run, execute

HOSTNAME = "djtasks@test"
ENDLESS = 100


def run_until_empty(*queues: str, patient: bool = False) -> list[Outcome]:
    """Run all messages, or those of these queues; delayed ones are made due, unless told to be patient."""
    outcomes: list[Outcome] = []
    while len(outcomes) < ENDLESS:
        if not patient:
            now = timezone.now()
            Message.objects.using(settings.DATABASE).filter(due_at__gt=now).update(due_at=now)
        if (outcome := run_one(*queues)) is not None:
            outcomes.append(outcome)
        elif not is_ready(*queues):
            return outcomes
    raise AssertionError(f"there is no end to it: {outcomes[-3:]}")


def is_ready(*queues: str) -> bool:
    """Say whether a message is due after all: one that somebody has locked for a moment is passed by."""
    ready = Message.objects.using(settings.DATABASE).filter(leased_until=None, due_at__lte=timezone.now())
    return bool((ready.filter(queue__in=queues) if queues else ready).exists())


def run_one(*queues: str) -> Outcome | None:
    """Run the next message that is due, if there is one."""
    with private() as vendor:
        holder = new_holder()
        message = reserve(vendor, holder, queues)
        return None if message is None else run(vendor, holder, message)


def new_holder(name: str = HOSTNAME) -> Holder:
    """Make the identity of a worker."""
    return Holder(str(uuid7()), name)


@contextmanager
def private() -> Iterator[Vendor]:
    """Lend a connection such as a worker has."""
    vendor = private_vendor()
    try:
        yield vendor
    finally:
        vendor.connection.close()


def reserve(vendor: Vendor, holder: Holder, queues: tuple[str, ...] = ()) -> Reservation | None:
    """Reserve and begin one message, as a worker with one free slot."""
    demand = Demand(holder.worker_id, 1, settings.LEASE_SECONDS, queues=queues or None, begin=True)
    for message in settle(vendor, [], demand=demand).supply.reservations:
        holder.clock = message.reserved_at - time.monotonic()
        return message
    return None


def run(vendor: Vendor, holder: Holder, message: Reservation) -> Outcome:
    """Judge and run a reserved message, settle it, and do what comes after."""
    verdict = judge.verdict(message, holder)
    ended = execute(message, holder) if verdict is None else Run(verdict)
    settlement = Settlement(message.token, ended.outcome, ended.started_at, message)
    done = settle(vendor, [settlement], hostname=HOSTNAME, retention=settings.result_expires_seconds)
    if ended.after is not None and message.token in done.settled:
        ended.after()
    return ended.outcome
