"""Write how runs ended, begin the next ones and reserve more, in one commit."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Sequence

from django.db import DatabaseError

from djtasks.broker.vendors import Exchange, Vendor
from djtasks.domain import payloads
from djtasks.domain.messages import Demand, Supply, Token
from djtasks.domain.outcomes import Failure, Settlement

logger = logging.getLogger("djtasks.broker")
ATTEMPTS = 5


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
    tried again; an outcome that the database refuses becomes a Failure that says so. A lost connection is raised.
    """

    def exchange(
        settlements: Sequence[Settlement], begin: Sequence[tuple[Token, bool]], demand: Demand | None
    ) -> Exchange:
        return _patiently(vendor, settlements, begin, demand, hostname, retention)

    try:
        return exchange(settlements, begin, demand)
    except DatabaseError as error:
        if vendor.is_disconnected(error) or not settlements:
            raise
        logger.warning("settling one by one after %s", payloads.printable(str(error), 500))
    settled: set[Token] = set()
    for settlement in settlements:
        try:
            settled |= exchange([settlement], (), None).settled
        except DatabaseError as error:
            if vendor.is_disconnected(error):
                raise
            settled |= exchange([_refused(settlement, error)], (), None).settled
    last = exchange((), begin, demand) if begin or demand else Exchange(set(), set(), Supply([]))
    return Exchange(settled, last.begun, last.supply)


def _patiently(
    vendor: Vendor,
    settlements: Sequence[Settlement],
    begin: Sequence[tuple[Token, bool]],
    demand: Demand | None,
    hostname: str,
    retention: float | None,
) -> Exchange:
    attempts = 0
    while True:
        try:
            return vendor.exchange(settlements, begin, demand, hostname=hostname, retention=retention)
        except DatabaseError as error:
            attempts += 1
            if attempts == ATTEMPTS or not vendor.is_transient(error):
                raise
            time.sleep(random.uniform(0, 0.01 * 2**attempts))


def _refused(settlement: Settlement, error: DatabaseError) -> Settlement:
    text = payloads.printable(str(error), 1000)
    refusal = {"kind": "failure", "type": "djtasks.exceptions.EncodeError", "message": f"could not be stored: {text}"}
    return settlement._replace(outcome=Failure(json.dumps(refusal)))
