"""Write what runs say of themselves while they last."""

from __future__ import annotations

from collections.abc import Mapping

from djtasks.broker.patience import patiently
from djtasks.broker.vendors import Vendor
from djtasks.domain.messages import Token

BATCH = 500


def note(vendor: Vendor, notes: Mapping[Token, str]) -> set[Token]:
    """Write each note (JSON text) to its message, if that is still its holder's own; return for which it was done.

    A row that is locked is passed over: it is being settled, or its body has locked it and can be noted later.
    """
    noted: set[Token] = set()
    wanted = sorted(notes.items())
    for start in range(0, len(wanted), BATCH):
        noted |= patiently(vendor, vendor.note, dict(wanted[start : start + BATCH]))
    return noted
