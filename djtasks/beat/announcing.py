"""Whoever changes a schedule wakes the beats, so that the change counts at once."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save

from djtasks.broker.vendors import shared_vendor
from djtasks.broker.vendors.base import SCHEDULES_CHANNEL
from djtasks.conf import settings
from djtasks.models import Schedule


def connect() -> None:
    """Listen to what the ORM does to schedules."""
    post_save.connect(announce, sender=Schedule, dispatch_uid="djtasks.schedules")
    post_delete.connect(announce, sender=Schedule, dispatch_uid="djtasks.schedules")


def announce(sender: type[Schedule], instance: Schedule, using: str, **facts: Any) -> None:
    """Wake the beats once the change has been committed; elsewhere they find it by themselves."""
    if using == settings.DATABASE:
        transaction.on_commit(partial(_announce, instance.name), using=using, robust=True)


def _announce(name: str) -> None:
    shared_vendor().announce(SCHEDULES_CHANNEL, [name])
