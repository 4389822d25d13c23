"""What people type to find tasks: an id or how it begins, a part of a name, ``argument:value``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any
from uuid import UUID

from django.db.models import Q

from djtasks.domain import payloads
from djtasks.models import Invocation
from djtasks.tasks import registry
from djtasks.tasks.masking import shown_arguments

SHORTEST_ID = 6
_ID = re.compile(rf"(?=.*\d)[0-9a-f]{{{SHORTEST_ID},32}}", re.IGNORECASE)
_ARGUMENT = re.compile(r"(\w+):(.+)")


@dataclass(frozen=True)
class Search:
    """The words of a search; all of them have to fit."""

    ids: tuple[tuple[UUID, UUID], ...] = ()
    names: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether an index finds all that fits."""
        return bool(self.ids)

    def without_arguments(self) -> Search:
        """Look for these in the names instead, where they are not."""
        return Search(self.ids, (*self.names, *(":".join(each) for each in self.arguments)))

    def in_sql(self) -> Q:
        """Say what the database can tell; of arguments that is only what may fit."""
        fits = Q()
        for first, last in self.ids:
            fits &= Q(pk__gte=first, pk__lte=last)
        for name in self.names:
            fits &= Q(task__icontains=name)
        for argument, value in self.arguments:
            named = Q(kwargs__contains=_as_json(argument)) & Q(kwargs__contains=_inner(value))
            fits &= named | Q(args__contains=_inner(value))
        return fits

    def fits(self, task: Invocation) -> bool:
        """Say whether the arguments fit, as far as they may be shown: what is masked is not found either (S10)."""
        if not self.arguments:
            return True
        shown = dict(_named(task))
        return all(name in shown and _is(shown[name], value) for name, value in self.arguments)


def search_for(text: str) -> Search:
    """Read what was typed."""
    ids: list[tuple[UUID, UUID]] = []
    names: list[str] = []
    arguments: list[tuple[str, str]] = []
    for word in text.replace("\0", "").split():
        digits = word.replace("-", "")
        if _ID.fullmatch(digits):
            ids.append((UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
        elif found := _ARGUMENT.fullmatch(word):
            arguments.append((found[1], found[2]))
        else:
            names.append(word)
    return Search(tuple(ids), tuple(names), tuple(arguments))


def _named(task: Invocation) -> Iterator[tuple[str, Any]]:
    args, kwargs = shown_arguments(task.task, task.args, task.kwargs, task.options)
    known = registry.find(task.task)
    if known is not None and isinstance(args, (list, tuple)):
        by_position = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        names = [name for name, each in known.parameters.items() if each.kind in by_position]
        yield from zip(names, args, strict=False)
    if isinstance(kwargs, Mapping):
        yield from kwargs.items()


def _is(value: Any, text: str) -> bool:
    return text == (value if isinstance(value, str) else payloads.encode(value, where="value"))


def _as_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _inner(text: str) -> str:
    return _as_json(text)[1:-1]
