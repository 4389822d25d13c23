"""What a test leaves in the database is taken away table by table, where it has left something.

Django's own flush empties every table and makes all content types and permissions anew, which takes longer than most
tests do.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

# Made by migrations, and left alone by tests.
KEPT = {"django_content_type", "auth_permission"}


def empty_swiftly() -> None:
    """Let every test that commits be followed by this instead of a flush."""
    TransactionTestCase._fixture_teardown = _empty_databases  # type: ignore[attr-defined]


def _empty_databases(case: Any) -> None:
    for alias in case._databases_names(include_mirrors=False):
        with transaction.atomic(using=alias):
            empty(connections[alias])


def empty(connection: BaseDatabaseWrapper) -> None:
    """Delete all rows of all models' tables."""
    with connection.cursor() as cursor:
        cursor.execute(_filled(connection, tuple(app.label for app in apps.get_app_configs())))
        tables = [connection.ops.quote_name(table) for (table,) in cursor.fetchall()]
        if tables and connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        else:
            # MySQL looks at foreign keys at once, whatever is deleted next.
            with connection.constraint_checks_disabled():
                for table in tables:
                    cursor.execute(f"DELETE FROM {table}")  # noqa: S608, names of our own


@cache
def _filled(connection: BaseDatabaseWrapper, labels: tuple[str, ...]) -> str:
    """Ask for the names of those tables of these apps that hold anything."""
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
    quote = connection.ops.quote_name
    return " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {quote(table)})" for table in tables)  # noqa: S608
