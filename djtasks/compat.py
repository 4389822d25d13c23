"""Where Django's own tasks come from: from Django 6, or from the backport where Django is older; else from nowhere."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from djtasks.exceptions import ImproperlyConfigured

MISSING = (
    "djtasks.backend needs Django's tasks, which Django has since 6.0: upgrade Django, "
    "or install the backport for Django 5.2: pip install 'djtasks[backport]'"
)
_IN_DJANGO = find_spec("django.tasks") is not None
HAS_TASKS = _IN_DJANGO or find_spec("django_tasks") is not None

if TYPE_CHECKING or _IN_DJANGO:
    from django.tasks import signals, task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
    from django.tasks.exceptions import InvalidTask, InvalidTaskBackend, TaskResultDoesNotExist
    from django.utils.json import normalize_json
elif HAS_TASKS:
    # Its app, which need not be installed, would load its checks.
    from django_tasks import checks as _checks  # noqa: F401
    from django_tasks import signals, task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
    from django_tasks.exceptions import InvalidTaskBackendError as InvalidTaskBackend
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist
    from django_tasks.utils import normalize_json

__all__ = [
    "HAS_TASKS",
    "MISSING",
    "BaseTaskBackend",
    "InvalidTask",
    "InvalidTaskBackend",
    "Task",
    "TaskContext",
    "TaskError",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultStatus",
    "normalize_json",
    "signals",
    "task_backends",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        raise ImproperlyConfigured(MISSING)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
