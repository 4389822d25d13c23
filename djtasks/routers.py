"""A database router for projects that keep the queue apart from their data."""

from __future__ import annotations

from typing import Any

from djtasks.conf import settings

APP_LABEL = "djtasks"


class DjtasksRouter:
    """Sends the tables of djtasks, and nothing else, to the database that ``DJTASKS["DATABASE"]`` names."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Read the queue where it is written: a replica that lags behind would lie."""
        return settings.DATABASE if model._meta.app_label == APP_LABEL else None

    db_for_write = db_for_read

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool | None:
        """No table of djtasks has relations to others."""
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Migrate djtasks in its own database only."""
        return db == settings.DATABASE if app_label == APP_LABEL else None
