"""Bodies are ended before their time: by a revocation, by a time limit, or with their worker."""

from __future__ import annotations

from collections.abc import Mapping

from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Outcome
from djtasks.worker import judge
from djtasks.worker.execution import Holder
from djtasks.worker.holdings import Held, Holdings
from djtasks.worker.limits import Limits
from djtasks.worker.pools.base import Pool


class Ending:
    """Decides first and ends then, so that the death of a body that is ended is no loss."""

    def __init__(self, pool: Pool, holder: Holder, holdings: Holdings, limits: Limits) -> None:
        self.pool = pool
        self.holder = holder
        self.holdings = holdings
        self.limits = limits

    def revoke(self, signals: Mapping[Token, str]) -> None:
        """Heed revocations of what is held: a body is told, or ended where a signal for that is named (WORK-9)."""
        for token, signal in signals.items():
            held = self.holdings.held.get(token)
            if held is None or held.place == "ended":
                continue
            if held.place == "waiting":
                self.holdings.end(token, judge.revoked_waiting(held.message, self.holder))
            elif signal:
                self._end(held, judge.revoked_in_pool(held.message, signal, self.holder), signal)
            else:
                self.pool.tell_revoked(token)

    def enforce_limits(self, now: float) -> None:
        """Interrupt or end what has run too long (WORK-3)."""
        for held, seconds in list(self.limits.overdue(now)):
            self._end(held, judge.timed_out(held.message, seconds, self.holder), "SIGKILL")

    def give_up(self) -> None:
        """Decide over all that still runs: late messages are released, early ones are lost (WORK-8)."""
        for token, held in list(self.holdings.held.items()):
            if held.place != "ended":
                self.holdings.end(token, judge.given_up(held.message, held.place == "pool", self.holder))

    def _end(self, held: Held, outcome: Outcome, signal: str) -> None:
        if self.pool.can_terminate:
            self.holdings.end(held.message.token, outcome)
        self.pool.terminate(held.message.token, signal)
