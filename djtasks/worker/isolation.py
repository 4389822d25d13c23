"""Nothing of one task reaches the next: connections, transactions, language, time zone, context variables."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.signals import setting_changed
from django.db import close_old_connections, connections, reset_queries
from django.db.backends.signals import connection_created

logger = logging.getLogger("djtasks.worker")
T = TypeVar("T")


class _Thread(threading.local):
    """Whether this thread may have open connections: to ask Django each time costs more than a short task.

    And the connections that are lent to bodies by somebody who goes on with them, if they are.
    """

    may_be_connected = True
    lent: Collection[str] | None = None


_thread = _Thread()


def isolated(function: Callable[..., T], *args: Any) -> T:
    """Call the function between clean connections, in a context of its own.

    Language, time zone and other context variables that it sets end with the context.
    """
    tidy_before()
    try:
        return contextvars.copy_context().run(_between_caches, function, *args)
    finally:
        tidy_after()


@contextmanager
def lending(aliases: Collection[str]) -> Iterator[None]:
    """Let bodies find the connections of this thread as they are, and leave those with transactions of ours open."""
    before, _thread.lent = _thread.lent, aliases
    try:
        yield
    finally:
        _thread.lent = before


def tidy_before() -> None:
    """Leave the next body no connection that has grown too old."""
    if _thread.may_be_connected and _thread.lent is None:
        with _logged():
            reset_queries()
            close_old_connections()


def tidy_after() -> None:
    """Leave nothing of a body on the connections that it used in this thread."""
    if _thread.lent is not None:
        with _logged():
            _drop_dirty_connections(_thread.lent)
    elif _thread.may_be_connected:
        with _logged():
            _drop_dirty_connections()
            close_old_connections()
            reset_queries()
        _look_again()


def disconnect() -> None:
    """Close the connections of a thread that is about to end."""
    with _logged():
        connections.close_all()


def _between_caches(function: Callable[..., T], *args: Any) -> T:
    """Call the function, and close the caches that it has used: like those of a request, they end with its context."""
    try:
        return function(*args)
    finally:
        if _caches_are_closed():
            with _logged():
                caches.close_all()


@cache
def _caches_are_closed() -> bool:
    """Say whether closing does anything with any of the project's caches: with most of Django's it does not."""
    return any(type(each).close is not BaseCache.close for each in caches.all())


def _forget_caches(*, setting: str, **kwargs: Any) -> None:
    if setting == "CACHES":
        _caches_are_closed.cache_clear()


setting_changed.connect(_forget_caches, dispatch_uid="djtasks.worker.isolation")


def close_all() -> None:
    """Close the connections of this thread, and the pools of this process, which is about to end."""
    disconnect()
    connection: Any
    for connection in connections.all():
        if (connection.settings_dict.get("OPTIONS") or {}).get("pool"):
            with _logged():
                connection.close_pool()


@contextmanager
def _logged() -> Iterator[None]:
    """What is raised while connections are closed is no failure of the body, and must not end the slot."""
    try:
        yield
    except Exception:
        logger.exception("a connection could not be closed")


def _note_opening(**kwargs: Any) -> None:
    _thread.may_be_connected = True


connection_created.connect(_note_opening, dispatch_uid="djtasks.worker.isolation")


def _look_again() -> None:
    opened = connections.all(initialized_only=True)
    _thread.may_be_connected = any(connection.connection is not None for connection in opened)


def _drop_dirty_connections(lent: Collection[str] = ()) -> None:
    """Forget connections on which a transaction was left open: closing them rolls it back."""
    for connection in connections.all(initialized_only=True):
        if connection.alias in lent:
            continue
        autocommit = connection.settings_dict["AUTOCOMMIT"]
        if connection.in_atomic_block or connection.closed_in_transaction or connection.autocommit is not autocommit:
            try:
                connection.close()
            finally:
                if connection.connection is not None or connection.in_atomic_block:
                    del connections[connection.alias]
