"""For tests of projects that use djtasks: the real engine, on the test's own connection or in a worker beside it.

The names below are loaded on first use (PEP 562), since the plugin for pytest is imported before Django is ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djtasks.testing.crashes import crash_at as crash_at
    from djtasks.testing.draining import adrain as adrain
    from djtasks.testing.draining import drain as drain
    from djtasks.testing.draining import run_pending as run_pending
    from djtasks.testing.eagerness import eager as eager
    from djtasks.testing.expectations import assert_enqueued as assert_enqueued
    from djtasks.testing.expectations import enqueued as enqueued
    from djtasks.testing.inline import Delivery as Delivery
    from djtasks.testing.mixin import TaskTestMixin as TaskTestMixin
    from djtasks.testing.time import travel as travel
    from djtasks.testing.workers import running_worker as running_worker

_NAMES = {
    "Delivery": "inline",
    "TaskTestMixin": "mixin",
    "adrain": "draining",
    "assert_enqueued": "expectations",
    "crash_at": "crashes",
    "drain": "draining",
    "eager": "eagerness",
    "enqueued": "expectations",
    "run_pending": "draining",
    "running_worker": "workers",
    "travel": "time",
}
__all__ = [*_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'djtasks.testing' has no attribute {name!r}")
    value = getattr(import_module(f"djtasks.testing.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
