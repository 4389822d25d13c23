"""What beats write into many rows of schedules, the same on every database: an update for each, all sent together."""

from __future__ import annotations

from collections.abc import Sequence

from djtasks.broker.vendors.base import Vendor
from djtasks.models import Schedule
from djtasks.models.schedules import PROGRESS_FIELDS

_FIELDS = [field for field in Schedule._meta.concrete_fields if field.name in {*PROGRESS_FIELDS, "enabled"} - {"since"}]
_MOVE = f"UPDATE djtasks_schedule SET {', '.join(f'{field.name} = %s' for field in _FIELDS)} WHERE id = %s"


def move(vendor: Vendor, schedules: Sequence[Schedule]) -> None:
    """Write what has become of these schedules, whose rows are locked."""
    prepared = [
        [*(field.get_db_prep_save(getattr(row, field.attname), vendor.connection) for field in _FIELDS), row.pk]
        for row in schedules
    ]
    with vendor.connection.cursor() as cursor:
        cursor.executemany(_MOVE, prepared)
