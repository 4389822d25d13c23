"""``TASK_ANNOTATIONS`` laid over the registered tasks, and taken off again when the settings change (TASK-7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from djtasks.conf import problems, settings
from djtasks.domain.annotations import AROUND, annotations_for
from djtasks.tasks import registry
from djtasks.tasks.definition import Definition

_KEPT = "_before_annotations"
_NOT_THERE = object()


def annotate(task: Definition) -> None:
    """Lay what the settings say of a task over its options and hooks; raise ImproperlyConfigured if it cannot work."""
    kind = type(task)
    if (kept := vars(kind).get(_KEPT)) is not None:
        _restore(kind, kept)
    if not settings.TASK_ANNOTATIONS:
        return
    said = [each for each in annotations_for(task.name, settings.TASK_ANNOTATIONS) if task.takes(*each)]
    keys = [key.removeprefix(AROUND) for key, _ in said]
    setattr(kind, _KEPT, {key: vars(kind).get(key, _NOT_THERE) for key in keys})
    for key, value in said:
        if key.startswith(AROUND):
            setattr(kind, key.removeprefix(AROUND), _around(getattr(kind, key.removeprefix(AROUND)), value))
        else:
            setattr(kind, key, value)
    task.check_options()


def _restore(kind: type[Any], kept: dict[str, Any]) -> None:
    for key, value in kept.items():
        if value is _NOT_THERE:
            if key in vars(kind):
                delattr(kind, key)
        else:
            setattr(kind, key, value)
    delattr(kind, _KEPT)


def _around(method: Callable[..., Any], wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    return wraps(method)(wrap(method))


def _annotate_all(*, setting: str, **kwargs: Any) -> None:
    raw: dict[str, Any] = getattr(django_settings, "DJTASKS", {})
    # Whoever reads a setting next is told what is wrong with it; here nothing is read without need.
    if setting != "DJTASKS" or any(not problem.is_harmless for problem in problems(raw)):
        return
    for task in map(registry.get, registry.names()):
        if "TASK_ANNOTATIONS" in raw or _KEPT in vars(type(task)):
            annotate(task)


setting_changed.connect(_annotate_all, dispatch_uid="djtasks.tasks.annotating")
