"""Schedules that are declared in code: brought into the table when a beat begins (BEAT-8)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DataError, Error, IntegrityError, transaction
from django.db.models import Q

from djtasks.beat.moments import for_row
from djtasks.broker.patience import patiently
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain.schedules.entries import Entry
from djtasks.exceptions import NotDeclared
from djtasks.models import Schedule
from djtasks.models.schedules import ENDED, RULE_FIELDS
from djtasks.tasks import scheduled

logger = logging.getLogger("djtasks.beat")


def synchronise() -> None:
    """Make, change and delete rows so that they are as the code says; what people have made is left alone.

    Whether a schedule is enabled is theirs to say once it is there; one that has ended begins anew with another rule.
    One that is as it was keeps its next run, so that what was missed is made up for.
    """
    vendor = shared_vendor()
    try:
        patiently(vendor, _synchronise)
    except IntegrityError:
        # Another beat began at the same moment.
        patiently(vendor, _synchronise)


def arguments_of(schedule: Schedule) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a schedule's message, which its code may make anew for each (BEAT-9)."""
    if not schedule.lazy:
        return schedule.args, schedule.kwargs
    entry = scheduled.find(schedule.name)
    if entry is None:
        raise NotDeclared(
            f"the arguments of the schedule {schedule.name!r} are made by code that this process does not have: is the "
            "module that declares it imported?"
        )
    # What it asks the database may be refused, and ends no transaction that others share.
    with transaction.atomic(using=settings.DATABASE):
        return entry.arguments()


def _synchronise() -> None:
    entries = scheduled.declared()
    with transaction.atomic(using=settings.DATABASE):
        schedules = Schedule.objects.using(settings.DATABASE)
        # Before anything is read, and none has this name: on SQLite a transaction that has read cannot always write.
        schedules.filter(name="").update(runs=0)
        schedules.filter(source__gt="").exclude(name__in=entries).delete()
        rows = {row.name: row for row in schedules.filter(Q(source__gt="") | Q(name__in=entries))}
        for name, (entry, source) in entries.items():
            try:
                with transaction.atomic(using=settings.DATABASE):
                    _bring(entry, source, rows.get(name))
            except Exception as error:
                # A database that does not answer says nothing of the schedule.
                if isinstance(error, Error) and not isinstance(error, DataError):
                    raise
                logger.error("the schedule %r is declared, and cannot be kept: %s", name, error)


def _bring(entry: Entry, source: str, row: Schedule | None) -> None:
    columns = {**entry.columns, "source": source}
    for name in ("start_at", "end_at"):
        columns[name] = columns[name] and for_row(columns[name])
    if row is None:
        Schedule(name=entry.name, enabled=entry.enabled, **columns).save(using=settings.DATABASE, force_insert=True)
        logger.info("the schedule %r was made", entry.name)
    elif not row.source:
        logger.error("the schedule %r was made by hand, and is declared in code, too: rename one of them", entry.name)
    elif changed := [name for name, value in columns.items() if _kept(name, getattr(row, name)) != _kept(name, value)]:
        if row.planned == ENDED and not RULE_FIELDS.isdisjoint(changed):
            columns["enabled"] = entry.enabled
            changed.append("enabled")
        for name in changed:
            setattr(row, name, columns[name])
        row.save(using=settings.DATABASE, update_fields=changed)
        logger.info("the schedule %r was changed: %s", entry.name, ", ".join(changed))


def _kept(name: str, value: Any) -> Any:
    return Schedule._meta.get_field(name).get_prep_value(value)  # type: ignore[union-attr]
