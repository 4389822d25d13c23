"""Moments as rules have them, in UTC, and as the tables have them, which without USE_TZ is another thing."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.utils import timezone


def from_row(moment: datetime) -> datetime:
    """Return a moment that was read from a table, in UTC."""
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).astimezone(UTC)


def for_row(moment: datetime) -> datetime:
    """Return a moment as it is written into a table."""
    return moment if settings.USE_TZ else timezone.make_naive(moment)
