"""A command to the workers that are there, and the wait for their answers, on a connection of its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connections

from djtasks.broker import commands
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.conf import settings
from djtasks.models import Worker

Destination = str | UUID | Iterable[str | UUID] | None

NO_ANSWER = "no answer"
DEAD = "dead"
UNKNOWN = "unknown"
SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.05


@dataclass
class Replies:
    """What the workers said, by name, and why others said nothing.

    "no answer": it lives, but did not answer in time. "dead": its sign of life is too old. "unknown": no worker has
    this name or id. One that answers with an empty list is idle.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)


def ask(
    verb: str, arguments: Mapping[str, Any], destination: Destination, timeout: float, *, lasting: bool = False
) -> Replies:
    """Ask each worker, or those of the destination, and wait for them no longer than ``timeout`` seconds.

    A ``lasting`` command stays for those that have not answered; a question that nobody waits for is deleted.
    """
    with _vendor() as vendor:
        alive, missing = _addressed(vendor, destination)
        sent = dict(zip(commands.send(vendor, list(alive), verb, dict(arguments)), alive.values(), strict=True))
        # Where nothing can be announced, workers look as often as they poll.
        patience = timeout if vendor.announces else timeout + settings.POLL_SECONDS
        replies = _collect(vendor, sent, time.monotonic() + patience)
        unanswered = {pk for pk, name in sent.items() if name in replies.missing}
        commands.delete(vendor, sent.keys() - unanswered if lasting else sent.keys())
    replies.missing |= missing
    return replies


def tell(verb: str, arguments: Mapping[str, Any], destination: Destination) -> None:
    """Send each worker, or those of the destination, a command that nobody waits for."""
    with _vendor() as vendor:
        alive, _ = _addressed(vendor, destination)
        commands.send(vendor, list(alive), verb, dict(arguments))


def _collect(vendor: Vendor, sent: Mapping[UUID, str], deadline: float) -> Replies:
    replies, waiting, pause = Replies(), dict(sent), SHORTEST_PAUSE
    while waiting:
        is_last = time.monotonic() >= deadline
        for command in commands.answered(vendor, waiting.keys()):
            name = waiting.pop(command.pk)
            replies.answers[name] = {"error": command.answer} if command.failed else command.answer
            if command.failed:
                replies.failed.add(name)
        if is_last:
            break
        if waiting:
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(2 * pause, LONGEST_PAUSE)
    replies.missing = dict.fromkeys(waiting.values(), NO_ANSWER)
    return replies


def _addressed(vendor: Vendor, destination: Destination) -> tuple[dict[UUID, str], dict[str, str]]:
    """Return the living workers that are meant, with their names; and of the others the names and what is wrong."""
    wanted = _names(destination)
    with vendor.bound():
        rows = list(Worker.objects.using(vendor.alias).order_by("pk"))
        vanished = set(vendor.vanished_workers().values_list("pk", flat=True))
    names = Counter(row.name for row in rows if row.pk not in vanished)
    alive: dict[UUID, str] = {}
    missing = dict.fromkeys(wanted or (), UNKNOWN)
    for row in rows:
        if wanted is not None and not {row.name, str(row.pk)} & wanted:
            continue
        missing.pop(row.name, None)
        missing.pop(str(row.pk), None)
        is_dead = row.pk in vanished
        # Of several of one name each is shown with its id; one that is dead makes room for its successor.
        label = row.name if names[row.name] <= (0 if is_dead else 1) else f"{row.name} ({row.pk})"
        if is_dead:
            missing[label] = DEAD
        else:
            alive[row.pk] = label
    return alive, missing


def _names(destination: Destination) -> set[str] | None:
    if destination is None:
        return None
    if isinstance(destination, (str, UUID)):
        return {str(destination)}
    return {str(name) for name in destination}


@contextmanager
def _vendor() -> Iterator[Vendor]:
    """Lend a connection on which what is sent is there at once, whatever transaction is open here."""
    vendor = private_vendor()
    if vendor.one_writer and connections[settings.DATABASE].in_atomic_block:
        raise RuntimeError("while the transaction that is open here lasts, no worker can answer; ask after the commit")
    try:
        yield vendor
    finally:
        vendor.connection.close()
