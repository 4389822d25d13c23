"""How it is known that a worker or a beat lives: by its row, in which it writes now and then; or by its session."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet

from djtasks.models import Beat, Worker
from djtasks.models.clock import Now

VANISHED_SECONDS = 90


class Life:
    """What a vendor knows of workers and beats."""

    alias: str
    # When one was seen last, as an expression on its row.
    seen: Any = F("seen_at")

    def vouch_for(self, who: str) -> bool:
        """Have this session show, while it lasts, that the one with this id lives; say no where only a row can."""
        return False

    def workers(self) -> QuerySet[Any]:
        """All workers, with the moment at which each was ``last_seen``."""
        return Worker.objects.using(self.alias).annotate(last_seen=self.seen)

    def beats(self) -> QuerySet[Any]:
        """All beats, likewise."""
        return Beat.objects.using(self.alias).annotate(last_seen=self.seen)

    def vanished_workers(self) -> QuerySet[Any]:
        """Workers whose sign of life is too old."""
        return self.workers().filter(last_seen__lt=Now() - timedelta(seconds=VANISHED_SECONDS))
