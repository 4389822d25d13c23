"""Extend leases that are still their holder's own."""

from __future__ import annotations

from collections.abc import Collection

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Vendor
from djtasks.domain.messages import Token

BATCH = 1000


def renew(vendor: Vendor, tokens: Collection[Token], lease: float) -> set[Token]:
    """Renew by primary key; what does not come back was lost."""
    held: set[Token] = set()
    wanted = sorted(tokens)
    for start in range(0, len(wanted), BATCH):
        held |= patiently(vendor, vendor.renew, wanted[start : start + BATCH], lease)
    return held
