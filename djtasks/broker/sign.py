"""The sign of life of a worker or a beat: its row says when it was seen last, unless its session vouches for it."""

from __future__ import annotations

from typing import Any

from djtasks.broker.vendors import Vendor
from djtasks.models import Beat, Worker
from djtasks.models.clock import Now


class SignOfLife:
    """Writes the row of one of them. While the session vouches for it, only what is new is written."""

    def __init__(self, model: type[Worker] | type[Beat], row: dict[str, Any]) -> None:
        self._model = model
        self._row = row
        self._written: dict[str, Any] | None = None
        self._vouched = False

    def begin(self) -> None:
        """Start anew, on another connection: what the last session vouched for ended with it."""
        self._written, self._vouched = None, False

    def give(self, vendor: Vendor, facts: dict[str, Any]) -> bool:
        """Show that it lives, and what may have changed of it; say whether there was no row, and one was made.

        Raises what the database does.
        """
        self._vouched = self._vouched or vendor.vouch_for(str(self._row["id"]))
        with vendor.bound():
            own = self._model._default_manager.using(vendor.alias).filter(pk=self._row["id"])
            # Others may have taken the row away after a long stop.
            if self._vouched and facts == self._written and own.exists():
                return False
            sign = {**facts, "seen_at": Now()}
            if is_new := not own.update(**sign):
                own.create(**{"started_at": Now(), **self._row, **sign})
        self._written = dict(facts)
        return is_new

    def end(self, vendor: Vendor) -> None:
        """Take the row away."""
        with vendor.bound():
            self._model._default_manager.using(vendor.alias).filter(pk=self._row["id"]).delete()
