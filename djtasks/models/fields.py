"""Columns of JSON text: what cannot be read is shown as it stands, and a worker never dies of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

from djtasks.domain import payloads
from djtasks.exceptions import DecodeError

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class PayloadField(TextField):
    """A value kept as JSON text, the same on every database; what cannot be decoded is shown as it stands."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return payloads.encode(value, where=self.name)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))

    def to_python(self, value: Any) -> Any:
        try:
            return payloads.decode(value) if isinstance(value, str) else value
        except DecodeError:
            return value


class ErrorsField(TextField):
    """What went wrong in each attempt, a JSON object a line: to append is to concatenate, which cannot fail."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> list[dict[str, Any]]:
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str) or hasattr(value, "resolve_expression"):
            return value
        return "".join(json.dumps(error) + "\n" for error in value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        if isinstance(value, list):
            return value
        return [self._read(line) for line in (value or "").split("\n") if line]

    def _read(self, line: str) -> dict[str, Any]:
        try:
            error = json.loads(line)
        except (ValueError, RecursionError):
            error = None
        return error if isinstance(error, dict) else {"kind": "unreadable", "message": line}
