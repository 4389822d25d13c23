"""Delete results whose time is over, in small batches that disturb nobody."""

from __future__ import annotations

from collections.abc import Callable

from djtasks.broker.vendors import Vendor

BATCH = 1000


def purge_results(vendor: Vendor, pause: Callable[[], bool] = lambda: True) -> int:
    """Delete expired results a batch at a time; between batches ``pause`` says whether to go on."""
    purged = 0
    while (count := vendor.purge_results(BATCH)) and (purged := purged + count) and count == BATCH and pause():
        pass
    return purged
