"""Nothing of one task reaches the next: connections, transactions, language, time zone, context variables."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TypeVar

from django.db import close_old_connections, connections, reset_queries

T = TypeVar("T")


def isolated(function: Callable[[], T]) -> T:
    """Call the function between clean connections, in a context of its own.

    Language, time zone and other context variables that it sets end with the context.
    """
    reset_queries()
    close_old_connections()
    try:
        return contextvars.copy_context().run(function)
    finally:
        _drop_dirty_connections()
        close_old_connections()


def _drop_dirty_connections() -> None:
    """Forget connections on which a transaction was left open: closing them rolls it back."""
    for connection in connections.all(initialized_only=True):
        autocommit = connection.settings_dict["AUTOCOMMIT"]
        if connection.in_atomic_block or connection.closed_in_transaction or connection.autocommit is not autocommit:
            try:
                connection.close()
            finally:
                if connection.connection is not None or connection.in_atomic_block:
                    del connections[connection.alias]
