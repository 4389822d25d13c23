"""``TASK_ANNOTATIONS``: options and hooks that the settings lay over tasks, by their names or over all (TASK-7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from djtasks.domain.options import TASK_OPTIONS, check_names, check_values

ALL = "*"
AROUND = "@"
HOOKS = frozenset({"before_start", "on_success", "on_failure", "on_retry", "after_return", "__call__"})
# What decides how a task is made cannot change once it is.
ANNOTATED = TASK_OPTIONS - {
    "aliases",
    "pydantic",
    "pydantic_strict",
    "pydantic_context",
    "pydantic_dump_kwargs",
}


def annotations_for(name: str, given: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is said of a task, in the order in which it counts: of all tasks first, then of this one."""
    for key in (ALL, name):
        for by_name in _dicts(given):
            yield from by_name.get(key, {}).items()


def names_of(given: Any) -> set[str]:
    """Return the names of the tasks of which something is said."""
    return {name for by_name in _dicts(given) for name in by_name} - {ALL}


def check_annotations(given: Any) -> None:
    """Raise TypeError or ValueError for annotations that cannot be meant."""
    for by_name in _dicts(given):
        if not isinstance(by_name, Mapping):
            raise TypeError(f"expected a dict by the names of tasks, or a list of such dicts, not {by_name!r:.80}")
        for name, said in by_name.items():
            if not isinstance(name, str) or not isinstance(said, Mapping):
                raise TypeError(f"what is said of {name!r:.80} is a dict of options and hooks, not {said!r:.80}")
            _check(f"the annotation of {name!r:.80}", said)


def _check(where: str, said: Mapping[str, Any]) -> None:
    check_names([key.removeprefix(AROUND) for key in said], ANNOTATED | HOOKS, where)
    check_values(said)
    for key, value in said.items():
        if (key.removeprefix(AROUND) in HOOKS or key.startswith(AROUND)) and not callable(value):
            raise TypeError(f"{where}: {key} is a function, not {value!r:.80}")
        if key.startswith(AROUND) and key.removeprefix(AROUND) not in HOOKS:
            raise TypeError(f"{where}: {key} wraps no method; {AROUND} stands before {', '.join(sorted(HOOKS))}")


def _dicts(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
