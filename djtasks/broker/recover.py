"""Find out what was done by a transaction whose answer was lost on its way."""

from __future__ import annotations

from collections.abc import Collection

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Recovered, Vendor
from djtasks.domain.messages import Token


def recover(vendor: Vendor, worker: str, held: Collection[Token], lease: float) -> Recovered:
    """Adopt what is leased to this worker without its knowledge, and say which settlements were written after all."""
    return patiently(vendor, vendor.recover, worker, held, lease)
