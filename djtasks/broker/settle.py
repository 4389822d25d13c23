"""Write how runs ended, begin the next ones and reserve more, in one commit."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from functools import partial

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
    tried again; an outcome that the database refuses becomes a Failure that says so. Every other error is raised.
    """
    exchange = partial(_patiently, vendor, partial(vendor.exchange, hostname=hostname, retention=retention))
    try:
        return exchange(settlements, begin, demand)
    except DatabaseError as error:
        if not settlements or not vendor.is_refusal(error):
            raise
        logger.warning("settling one by one after %s", payloads.printable(str(error), 500))
    settled: set[Token] = set()
    for settlement in settlements:
        try:
            settled |= exchange([settlement], (), None).settled
        except DatabaseError as error:
            if not vendor.is_refusal(error):
                raise
            settled |= exchange([_refused(settlement, error)], (), None).settled
    rest = exchange((), begin, demand) if begin or demand else Exchange(set(), set(), Supply([]))
    return rest._replace(settled=settled)


def _patiently(
    vendor: Vendor,
    exchange: Callable[..., Exchange],
    settlements: Sequence[Settlement],
    begin: Sequence[tuple[Token, bool]],
    demand: Demand | None,
) -> Exchange:
    attempts = 0
    while True:
        try:
            return exchange(settlements, begin, demand)
        except DatabaseError as error:
            attempts += 1
            if attempts == ATTEMPTS or not vendor.is_transient(error):
                raise
            time.sleep(random.uniform(0, 0.01 * 2**attempts))


def _refused(settlement: Settlement, error: DatabaseError) -> Settlement:
    text = payloads.printable(str(error), 1000)
    refusal = {"kind": "failure", "type": "djtasks.exceptions.EncodeError", "message": f"could not be stored: {text}"}
    return settlement._replace(outcome=Failure(json.dumps(refusal)))
