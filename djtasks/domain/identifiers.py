"""Ids and names: how they are made, and what makes one acceptable."""

from __future__ import annotations

import os
import re
import signal
import sys
import uuid
from collections.abc import Callable
from functools import partial
from os import urandom
from pathlib import Path
from threading import Lock
from time import time_ns
from types import ModuleType
from typing import Any

QUEUE_NAME_LENGTH = 128
TASK_NAME_LENGTH = 255
LOWEST_PRIORITY = -100
HIGHEST_PRIORITY = 100


def uuid7() -> uuid.UUID:
    """Return a new id that is greater than every earlier one of this process (RFC 9562)."""
    # As the standard library's own does: the checks of UUID() cost as much as all the rest.
    made = _new(uuid.UUID)
    _set(made, "int", _next())
    _set(made, "is_safe", uuid.SafeUUID.unknown)
    return made


def new_id() -> str:
    """Return a new id as all rows, logs and handles show it."""
    text = f"{_next():032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _next() -> int:
    global _last
    random = int.from_bytes(urandom(10), "big") >> 6
    now = time_ns() // 1_000_000 << 74 | random
    with _lock:
        # Within a millisecond, or after the clock stepped back, count on by a random stride.
        if now >> 74 <= _last >> 74:
            now = _last + 1 + (random & 0xFFFF_FFFF)
        _last = now
    high, low = now >> 62, now & 0x3FFF_FFFF_FFFF_FFFF
    return high >> 12 << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0x2 << 62 | low


_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def canonical(value: str | uuid.UUID) -> str:
    """Return a task id as all rows, logs and handles show it, or raise ``ValueError`` with the way to get one."""
    # Most are it already, and to read one costs more than to look at it.
    return value if type(value) is str and _CANONICAL(value) else str(as_uuid(value))


def as_uuid(value: str | uuid.UUID) -> uuid.UUID:
    """Return a task id as a UUID, or raise ``ValueError`` with the way to get one."""
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(value)
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            f"a task id is a UUID, not {_shown(value)}; a name gets a stable one from "
            'uuid.uuid5(uuid.NAMESPACE_URL, "daily-report-2026-01-01")'
        ) from None


def task_name(function: Callable[..., Any]) -> str:
    """Return the unique name of a callable: the module that workers import it from, and its name there."""
    target: Any = function
    while isinstance(target, partial):
        target = target.func
    qualname = getattr(target, "__qualname__", None) or type(target).__qualname__
    module = getattr(target, "__module__", None) or type(target).__module__
    # A spawned process runs the main module again under the name __mp_main__.
    if module in ("__main__", "__mp_main__"):
        module = _main_module(sys.modules.get(module))
    return f"{module}.{qualname.replace('<locals>.', '')}"


def check_queue_name(name: str) -> str:
    """Return the name, or raise ``ValueError`` with the rule that it breaks."""
    if not isinstance(name, str) or not _QUEUE_NAME.fullmatch(name) or len(name) > QUEUE_NAME_LENGTH:
        raise ValueError(
            f"{_shown(name)} is no name for a queue: up to {QUEUE_NAME_LENGTH} ASCII letters, digits and _ . : @ - "
            "of which the first is a letter or digit"
        )
    return name


def check_task_name(name: str) -> str:
    """Return the name, or raise ``ValueError`` with the rule that it breaks."""
    fits = isinstance(name, str) and 0 < len(name) <= TASK_NAME_LENGTH
    if not fits or not name.isprintable() or name.strip() != name:
        raise ValueError(
            f"{_shown(name)} is no name for a task: 1 to {TASK_NAME_LENGTH} printable characters, "
            "without a space at either end"
        )
    return name


def check_priority(value: int) -> int:
    """Return the priority, or raise ``TypeError`` or ``ValueError`` with the rule that it breaks."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"a priority is an int, not {_shown(value)}")
    if not LOWEST_PRIORITY <= value <= HIGHEST_PRIORITY:
        raise ValueError(
            f"a priority lies between {LOWEST_PRIORITY} and {HIGHEST_PRIORITY} (higher runs first), not {_shown(value)}"
        )
    return int(value)


def signal_name(value: str | int) -> str:
    """Return the full name of a signal that is given as "SIGTERM", "TERM" or 15; raise ValueError for another."""
    try:
        if isinstance(value, str):
            return signal.Signals[f"SIG{value.upper().removeprefix('SIG')}"].name
        return signal.Signals(value).name
    except (KeyError, ValueError, AttributeError):
        raise ValueError(f"{_shown(value)} is no signal: write SIGTERM, SIGKILL or the like") from None


_last = 0
_lock = Lock()
_new, _set = object.__new__, object.__setattr__


def _begin_anew() -> None:
    # Another thread may have held the lock when the process was forked.
    global _last, _lock
    _last, _lock = 0, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

_QUEUE_NAME = re.compile(r"[A-Za-z0-9][\w.:@-]*", re.ASCII)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _main_module(main: ModuleType | None) -> str:
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in ("__main__", "__mp_main__"):
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return _module_of_script(Path(file).resolve()) if file else "__main__"


def _module_of_script(script: Path) -> str:
    root = script.parent
    while (root / "__init__.py").exists() and root != root.parent:
        root = root.parent
    if root == script.parent:
        # Python itself put the script's directory first; another entry, if any, is how workers import it.
        entries = [Path(entry).resolve() for entry in sys.path]
        others = entries[1:] if entries[:1] == [root] else entries
        root = max((entry for entry in others if script.is_relative_to(entry)), key=_depth, default=root)
    return ".".join(script.relative_to(root).with_suffix("").parts)


def _depth(path: Path) -> int:
    return len(path.parts)
