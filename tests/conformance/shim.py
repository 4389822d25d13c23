"""Our backend with what the tests ask of the dummy one: a list of all results, and a way to forget them."""

from __future__ import annotations

from typing import Any

from djtasks.backend import DjtasksBackend
from djtasks.backend.results import of_record
from djtasks.models import Message, Result


class RowsBackend(DjtasksBackend):
    """Shows the rows as results."""

    @property
    def results(self) -> list[Any]:
        return [of_record(record) for table in (Message, Result) for record in table.objects.order_by("pk")]

    def clear(self) -> None:
        for table in (Message, Result):
            table.objects.all().delete()
