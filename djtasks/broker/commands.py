"""Rows of the remote control: sent to workers, read and answered by them, and deleted when they are old."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Vendor
from djtasks.broker.vendors.base import CONTROL_CHANNEL
from djtasks.models import Command
from djtasks.models.clock import Now

# A worker that comes back to life does not obey what was said long ago.
STALE_SECONDS = 300
KEPT_SECONDS = 3600


def send(vendor: Vendor, workers: Sequence[UUID], verb: str, arguments: Any) -> list[UUID]:
    """Write a command to each of these workers and wake them; return the ids of the commands."""
    commands = [Command(worker=worker, verb=verb, arguments=arguments, sent_at=Now()) for worker in workers]
    with vendor.bound():
        patiently(vendor, _commands(vendor).bulk_create, commands)
    vendor.announce(CONTROL_CHANNEL, [str(worker) for worker in workers])
    return [command.pk for command in commands]


def unanswered(vendor: Vendor, worker: str) -> list[Command]:
    """Return what a worker has been told and has not answered, oldest first."""
    fresh = Now() - timedelta(seconds=STALE_SECONDS)
    with vendor.bound():
        return list(_commands(vendor).filter(worker=worker, answered_at=None, sent_at__gt=fresh).order_by("pk"))


def answer(vendor: Vendor, command: UUID, value: Any, failed: bool) -> None:
    """Write the answer to a command, if it is still there and has none."""
    with vendor.bound():
        waiting = _commands(vendor).filter(pk=command, answered_at=None)
        patiently(vendor, waiting.update, answered_at=Now(), answer=value, failed=failed)


def answered(vendor: Vendor, commands: Collection[UUID]) -> list[Command]:
    """Return those of the commands that have an answer."""
    with vendor.bound():
        return list(_commands(vendor).filter(pk__in=commands, answered_at__isnull=False))


def delete(vendor: Vendor, commands: Collection[UUID]) -> None:
    """Delete commands whose answers have been read."""
    with vendor.bound():
        patiently(vendor, _commands(vendor).filter(pk__in=commands).delete)


def purge_commands(vendor: Vendor) -> int:
    """Delete the commands that are too old for anybody to read; return how many."""
    with vendor.bound():
        old = _commands(vendor).filter(sent_at__lt=Now() - timedelta(seconds=KEPT_SECONDS))
        return patiently(vendor, old.delete)[0]


def _commands(vendor: Vendor) -> QuerySet[Command]:
    return Command.objects.using(vendor.alias)
