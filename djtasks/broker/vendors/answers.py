"""What the verbs answer."""

from __future__ import annotations

from typing import NamedTuple

from djtasks.domain.messages import Reservation, Supply, Token


class Exchange(NamedTuple):
    """What one commit did: whose settlements and begins were taken, and what was reserved."""

    settled: set[Token]
    begun: set[Token]
    supply: Supply


class Recovered(NamedTuple):
    """What stands in the tables though its answer was lost: leases not known of, and settlements that were written."""

    adopted: list[Reservation]
    written: set[Token]


class Announcement(NamedTuple):
    """What woke a waiter; a payload of "*" stands for any."""

    channel: str
    payload: str
