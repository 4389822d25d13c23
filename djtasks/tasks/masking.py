"""What people may see of a task's arguments: everything that shows them to anybody asks here (S10).

``sensitive=["password"]`` on a task masks those arguments, ``sensitive=True`` all of them and the result. What a body
gets, and what ``AsyncResult`` gives to code, stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from djtasks.domain import payloads
from djtasks.domain.escaping import one_line
from djtasks.tasks import registry

if TYPE_CHECKING:
    from djtasks.tasks.context import Request
    from djtasks.tasks.definition import Definition

MASK = "********"
SHORTEST_SECRET = 4
LONGEST_TEXT = 1024

Sensitive = bool | Collection[str]


def shown_arguments(task_name: str, args: Any, kwargs: Any, options: Any = None) -> tuple[Any, Any]:
    """Return args and kwargs as they may be shown: masked where the task says so, or as the call's reprs (Celery's).

    ``options`` are those of the message, which also says what is sensitive where the task is not known.
    """
    options = options if isinstance(options, Mapping) else {}
    names = _sensitive(task_name, options)
    if names is True or (names and not (isinstance(args, (list, tuple)) and isinstance(kwargs, Mapping))):
        args, kwargs = MASK, MASK
    elif names:
        args, kwargs = _masked(registry.find(task_name), names, args, kwargs)
    return options.get("argsrepr", args), options.get("kwargsrepr", kwargs)


def shown_texts(task_name: str, args: Any, kwargs: Any, options: Any = None) -> tuple[str, str]:
    """Return args and kwargs as short texts that may be shown, each on one line (S13)."""
    shown = shown_arguments(task_name, args, kwargs, options)
    args, kwargs = (value if isinstance(value, str) else repr(value) for value in shown)
    return one_line(payloads.printable(args, LONGEST_TEXT)), one_line(payloads.printable(kwargs, LONGEST_TEXT))


def shown_value(task_name: str, value: Any, options: Any = None) -> Any:
    """Return a result as it may be shown."""
    hidden = value is not None and _sensitive(task_name, options if isinstance(options, Mapping) else {}) is True
    return MASK if hidden else value


def sensitivity(task: Definition | None, options: Mapping[str, Any]) -> Sensitive:
    """Return what is sensitive in the runs of a message: what its task says, else what it says itself.

    A message says so for those who do not know its task, and where it is there to run another one.
    """
    given = (task is not None and task.sensitive) or options.get("sensitive", False)
    return given if isinstance(given, (bool, list, tuple, set, frozenset)) else True


def _sensitive(task_name: str, options: Mapping[str, Any]) -> Sensitive:
    return sensitivity(registry.find(task_name), options)


def _masked(
    task: Definition | None, names: Collection[str], args: Collection[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    hidden = _positions(task, names, len(args))
    everything = any(name in names for name in _named(task, Parameter.VAR_KEYWORD))
    known = task.parameters if task is not None else {}
    return (
        [MASK if position in hidden else value for position, value in enumerate(args)],
        {
            name: MASK if name in names or (everything and name not in known) else value
            for name, value in kwargs.items()
        },
    )


def _positions(task: Definition | None, names: Collection[str], count: int) -> Collection[int]:
    """Say which positional arguments are sensitive; all of them where it is not known what they are."""
    if task is None or not task.parameters:
        return range(count)
    by_position = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    positional = [name for name, each in task.parameters.items() if each.kind in by_position]
    rest = any(name in names for name in _named(task, Parameter.VAR_POSITIONAL))
    return {at for at in range(count) if (positional[at] in names if at < len(positional) else rest)}


def _named(task: Definition | None, kind: Any) -> list[str]:
    return [name for name, each in (task.parameters if task is not None else {}).items() if each.kind is kind]


# Secrets in what exceptions say


def secrets_of(task: Definition, request: Request) -> list[str]:
    """Return the sensitive arguments of a run as texts, the longest first, so that errors can be recorded without."""
    sensitive = sensitivity(task, request.options)
    if not sensitive:
        return []
    args, kwargs = request.args, request.kwargs
    if isinstance(sensitive, bool):
        values = [*args, *kwargs.values()]
    else:
        shown = _masked(task, sensitive, args, kwargs)
        values = [value for value, mask in zip(args, shown[0], strict=True) if mask is MASK]
        values += [value for name, value in kwargs.items() if shown[1][name] is MASK]
    texts = {text for value in values for text in _texts(value)}
    return sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True)


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            # As it stands in a repr, too.
            return [value, repr(value)[1:-1]]
        case Mapping():
            return [text for each in value.values() for text in _texts(each)]
        case list() | tuple() | set() | frozenset():
            return [text for each in value for text in _texts(each)]
        case None | bool():
            return []
    return [str(value)]


def hide(text: str, secrets: Collection[str]) -> str:
    """Mask the secrets in a text."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def hide_in_record(line: str, secrets: Collection[str]) -> str:
    """Mask the secrets in the record of an error, wherever they may have come from the exception."""
    if not secrets:
        return line
    record: dict[str, Any] = json.loads(line)
    return json.dumps(record | {name: _hidden(record[name], secrets) for name in ("message", "args", "traceback")})


def _hidden(value: Any, secrets: Collection[str]) -> Any:
    match value:
        case str():
            return hide(value, secrets)
        case list():
            return [_hidden(each, secrets) for each in value]
        case dict():
            return {name: _hidden(each, secrets) for name, each in value.items()}
    return MASK if not isinstance(value, bool) and str(value) in secrets else value
