"""Write how runs ended, begin the next ones and reserve more, in one commit."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import partial

from django.db import DatabaseError

from djtasks.broker.patience import patiently
from djtasks.broker.replace import replace
from djtasks.broker.resolve import consequences, has_consequences
from djtasks.broker.vendors import Exchange, Vendor
from djtasks.domain import payloads
from djtasks.domain.messages import Demand, Supply, Token
from djtasks.domain.outcomes import Failure, Replaced, Settlement

logger = logging.getLogger("djtasks.broker")


def settle(
    vendor: Vendor,
    settlements: Sequence[Settlement],
    begin: Sequence[tuple[Token, bool]] = (),
    demand: Demand | None = None,
    *,
    hostname: str = "",
    retention: float | None = None,
) -> Exchange:
    """Settle, begin and reserve in one transaction.

    What is no longer its holder's own is not in the answer, and nothing is written for it. Deadlocks and the like are
    tried again; an outcome that the database refuses becomes a Failure that says so. Every other error is raised.
    """
    exchange = partial(vendor.exchange, hostname=hostname, retention=retention)
    alone: list[Settlement] = []
    together: list[Settlement] = []
    for settlement in settlements:
        (alone if has_consequences(settlement) else together).append(settlement)
    settled = _settle_alone(vendor, alone, hostname, retention) if alone else set()
    try:
        done = patiently(vendor, exchange, together, begin, demand)
    except DatabaseError as error:
        if not together or not vendor.is_refusal(error):
            raise
        logger.warning("settling one by one after %s", payloads.printable(str(error), 500))
        settled |= _settle_alone(vendor, together, hostname, retention)
        done = Exchange(set(), set(), Supply([]))
        if begin or demand:
            done = patiently(vendor, exchange, (), begin, demand)
    return done._replace(settled=done.settled | settled) if settled else done


def _settle_alone(
    vendor: Vendor, settlements: Sequence[Settlement], hostname: str, retention: float | None
) -> set[Token]:
    """Settle each in a transaction of its own, with all that follows from it."""
    settled: set[Token] = set()
    for settlement in settlements:
        try:
            settled |= patiently(vendor, _write, vendor, settlement, hostname, retention)
        except DatabaseError as error:
            if not vendor.is_refusal(error):
                raise
            settled |= patiently(vendor, _write, vendor, _refused(settlement, error), hostname, retention)
    return settled


def _write(vendor: Vendor, settlement: Settlement, hostname: str, retention: float | None) -> set[Token]:
    exchange = partial(vendor.exchange, [settlement], (), None, hostname=hostname, retention=retention)
    if not has_consequences(settlement):
        return exchange().settled
    with vendor.bound(), vendor.atomic():
        settled = exchange().settled
        if settled and isinstance(settlement.outcome, Replaced):
            replace(vendor, settlement.token, settlement.outcome)
        elif settled:
            consequences(vendor, settlement, hostname=hostname, retention=retention)
    return settled


def _refused(settlement: Settlement, error: DatabaseError) -> Settlement:
    text = payloads.printable(str(error), 1000)
    refusal = {"kind": "failure", "type": "djtasks.exceptions.EncodeError", "message": f"could not be stored: {text}"}
    return settlement._replace(outcome=Failure(json.dumps(refusal)))
