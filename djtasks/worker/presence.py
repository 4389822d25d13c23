"""The worker's row: who it is, and that it lives."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from djtasks.broker.sign import SignOfLife
from djtasks.broker.vendors import Vendor
from djtasks.conf import settings
from djtasks.models import Worker

logger = logging.getLogger("djtasks.worker")
VARIABLE = ("slots", "queues", "excluded", "memory")
# Of no interest to who looks what takes memory, and it would be written each time.
LITTLE = 0.05


class Presence:
    """Gives the worker's signs of life, and tells what is to be known of it."""

    def __init__(self, row: dict[str, Any], memory: Callable[[], int] = lambda: 0) -> None:
        self.row = row
        self._memory = memory
        self._sign = SignOfLife(Worker, row)

    def begin(self) -> None:
        """Start anew, on another connection."""
        self._sign.begin()

    def sign(self, vendor: Vendor, *, listening: bool) -> None:
        """Show that the worker lives, and what has changed of it; raises what the database does."""
        self._measure()
        facts = {"listening": listening} | {name: self.row[name] for name in VARIABLE if name in self.row}
        if self._sign.give(vendor, facts):
            warn_of_namesakes(vendor, self.row)

    def end(self, vendor: Vendor) -> None:
        """Take the row away."""
        self._sign.end(vendor)

    def _measure(self) -> None:
        memory, known = self._memory(), self.row.get("memory") or 0
        if abs(memory - known) > LITTLE * known:
            self.row["memory"] = memory or None


def warn_of_namesakes(vendor: Vendor, worker: dict[str, Any]) -> None:
    """Say that another living worker has the same name, so that people cannot tell them apart (WORK-12)."""
    vanished = vendor.vanished_workers().values("pk")
    namesakes = Worker.objects.using(settings.DATABASE).filter(name=worker["name"]).exclude(pk__in=vanished)
    for other in namesakes.exclude(pk=worker["id"]):
        if other.host != worker["host"] or is_alive(other.pid):
            logger.warning(
                "another worker is named %s, too (pid %d on %s): give each a name of its own with -n",
                *(other.name, other.pid, other.host),
            )


def is_alive(pid: int) -> bool:
    """Say whether a process of this host lives; one that was killed may have left its row behind."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
