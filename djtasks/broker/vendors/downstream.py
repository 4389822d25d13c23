"""A walk along the edges of workflows: one statement, the same for every database."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.models import Dependency

# Level by level it would take as many statements as a chain is long.
DOWNSTREAM = """
WITH RECURSIVE found (message, upstream) AS (
    SELECT message, upstream FROM djtasks_dependency WHERE {on} = 'success' AND upstream IN ({ids})
    UNION
    SELECT d.message, d.upstream FROM djtasks_dependency d JOIN found ON d.upstream = found.message
    WHERE d.{on} = 'success'
)
SELECT message, upstream FROM found
"""
BATCH = 500


def downstream(connection: BaseDatabaseWrapper, ids: Collection[str]) -> list[tuple[str, str]]:
    """Return who waits for the success of these, directly or not, each with whom it waits for."""
    adapted = [Dependency._meta.get_field("upstream").get_db_prep_value(UUID(pk), connection) for pk in ids]
    found: list[tuple[str, str]] = []
    for some in (adapted[start : start + BATCH] for start in range(0, len(adapted), BATCH)):
        with connection.cursor() as cursor:
            places = ", ".join(["%s"] * len(some))
            cursor.execute(DOWNSTREAM.format(on=connection.ops.quote_name("on"), ids=places), some)
            found += ((str(UUID(str(message))), str(UUID(str(upstream)))) for message, upstream in cursor.fetchall())
    return found
