"""Who did what: an entry in the log of Django's admin for every change that an operator makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest


def record(
    request: HttpRequest,
    model: type[Model],
    changed: Iterable[tuple[Any, str]],
    what: str,
    notes: Mapping[Any, str] = MappingProxyType({}),
) -> None:
    """Write down what was done to these rows of a model, each named by its key and for people; and notes on some."""
    kind = ContentType.objects.get_for_model(model, for_concrete_model=False)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=request.user.pk or 0,
            content_type_id=kind.pk,
            object_id=str(key),
            object_repr=name[:200],
            action_flag=CHANGE,
            change_message=f"{what}{notes.get(key, '')}",
        )
        for key, name in changed
    )
