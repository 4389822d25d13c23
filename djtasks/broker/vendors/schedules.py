"""What beats write, in many rows at a time and the same on every database: all rows are sent together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Field, Model

from djtasks.broker.vendors.base import Vendor
from djtasks.models import Schedule, Slot
from djtasks.models.schedules import PROGRESS_FIELDS


def _fields(model: type[Model], names: Iterable[str]) -> list[Field[Any, Any]]:
    return [field for field in model._meta.concrete_fields if field.name in names]


_OF_SLOT = _fields(Slot, {"schedule", "due_at", "made_at", "message", "passed_over"})
_NOTE_SLOT = f"""INSERT INTO djtasks_slot ({", ".join(field.attname for field in _OF_SLOT)})
VALUES ({", ".join(["%s"] * len(_OF_SLOT))})"""

_OF_PROGRESS = _fields(Schedule, {*PROGRESS_FIELDS, "enabled"} - {"since"})
_MOVE = f"UPDATE djtasks_schedule SET {', '.join(f'{field.attname} = %s' for field in _OF_PROGRESS)} WHERE id = %s"


def note_slots(vendor: Vendor, slots: Sequence[Slot]) -> None:
    """Write that these slots are taken; raises IntegrityError where one of them was before."""
    _run_for_each(vendor, _NOTE_SLOT, [_values(vendor, slot, _OF_SLOT) for slot in slots])


def move(vendor: Vendor, schedules: Sequence[Schedule]) -> None:
    """Write what has become of these schedules, whose rows are locked."""
    _run_for_each(vendor, _MOVE, [[*_values(vendor, row, _OF_PROGRESS), row.pk] for row in schedules])


def _values(vendor: Vendor, row: Model, fields: Sequence[Field[Any, Any]]) -> list[Any]:
    return [field.get_db_prep_save(getattr(row, field.attname), vendor.connection) for field in fields]


def _run_for_each(vendor: Vendor, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        with vendor.connection.cursor() as cursor:
            cursor.executemany(statement, rows)
