"""Where outcomes are written down: one transaction at a time, also across outages of the database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from django.db import Error

from djtasks.broker.deadlines import Deadline
from djtasks.broker.recover import recover
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Exchange, Vendor
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.messages import Demand, Reservation, Supply, Token
from djtasks.domain.outcomes import Settlement
from djtasks.worker.aftermath import Aftermath
from djtasks.worker.execution import Holder
from djtasks.worker.holdings import Held, Holdings
from djtasks.worker.pace import Outage
from djtasks.worker.pools.base import Pool

logger = logging.getLogger("djtasks.worker")


class Ledger:
    """Settles what is pending, and tells those who wait for it what was written."""

    def __init__(self, vendor: Vendor, pool: Pool, holder: Holder, holdings: Holdings) -> None:
        self.vendor = vendor
        self.pool = pool
        self.holder = holder
        self.holdings = holdings
        self.outage = Outage(settings.LEASE_SECONDS)
        self.aftermath = Aftermath(holder)
        self.totals: Counter[str] = Counter()
        self.deadline = Deadline()
        self._confirming: set[Token] = set()
        # In a worker with several lanes: what the others hold, and whether a queue is this one's.
        self.beside: Callable[[], list[Token]] = list
        self.takes: Callable[[str], bool] = lambda queue: True

    def exchange(self, begin: list[tuple[Token, bool]], demand: Demand | None) -> Exchange | None:
        """Settle all that is pending, begin and reserve, in one transaction; None while the database is not there.

        After an outage it first learns what the last transaction had done, and reserves nothing but what it adopts.
        """
        adopted: list[Reservation] = []
        self.deadline.begin(self.vendor)
        try:
            if self.outage.lasts:
                adopted, demand = self._recover(), None
            settlements = list(self.holdings.pending.values())
            done = settle(
                self.vendor,
                settlements,
                begin,
                demand,
                hostname=self.holder.hostname,
                retention=settings.result_expires_seconds,
            )
        except Error as error:
            self._disconnect(error)
            return None
        finally:
            self.deadline.end()
        if self.outage.over():
            logger.warning("the database is back")
        for settlement in settlements:
            self._conclude(settlement, settlement.token in done.settled)
        return done._replace(supply=Supply(adopted)) if adopted else done

    def _conclude(self, settlement: Settlement, written: bool) -> None:
        held = self.holdings.forget(settlement.token)
        self.confirm(settlement.token, written)
        if held and not written:
            warn_of_loss(held.message)
        elif held and settlement.started_at is None:
            self.aftermath.tell(held.message, settlement.outcome)
        elif held:
            self.totals[held.message.task] += 1

    def lose(self, token: Token) -> Held | None:
        """Let go of a message that is not ours any more."""
        held = self.holdings.forget(token)
        if held is not None:
            warn_of_loss(held.message)
            self.confirm(token, False)
        return held

    def promise(self, token: Token) -> None:
        """Remember that a run waits to hear of its settlement."""
        self._confirming.add(token)

    def confirm(self, token: Token, written: bool) -> None:
        """Tell a run that waits for it whether its outcome was written."""
        if token in self._confirming:
            self._confirming.discard(token)
            self.pool.settled(token, written)

    def _disconnect(self, error: Error) -> None:
        """Keep everything, and try again by and by: the database may be gone for any length of time."""
        if self.outage.begin():
            logger.error("the database is not there: %s", payloads.printable(" ".join(str(error).split()), 500))
        try:
            self.vendor.connection.close()
        except Error:
            logger.debug("the broken connection could not be closed", exc_info=True)

    def _recover(self) -> list[Reservation]:
        """Learn what the lost transaction had done before its answer was lost."""
        held = [*self.holdings.held, *self.beside()]
        found = recover(self.vendor, self.holder.worker_id, held, settings.LEASE_SECONDS)
        for token in found.written & self.holdings.pending.keys():
            self.holdings.forget(token)
            self.confirm(token, True)
        return [message for message in found.adopted if self.takes(message.queue)]


def warn_of_loss(message: Reservation) -> None:
    """Say in the log that a message is not ours any more."""
    logger.warning("lease lost: %s[%s] delivery %d", message.task, message.id, message.deliveries)
