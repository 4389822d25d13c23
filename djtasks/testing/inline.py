"""A worker without processes, threads or connections of its own: real reservations, verdicts, runs and settlements."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

from djtasks.broker.note import note
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor, shared_vendor
from djtasks.conf import settings
from djtasks.domain import outcomes, states
from djtasks.domain.identifiers import new_id
from djtasks.domain.messages import Demand, Reservation, Token
from djtasks.domain.outcomes import Outcome, Settlement
from djtasks.models import Message
from djtasks.tasks.attempt import state_of
from djtasks.tasks.results.result import AsyncResult
from djtasks.testing import crashes
from djtasks.testing.bodies import InlineBody
from djtasks.testing.crashes import Crash, at_work, reach
from djtasks.testing.transactions import as_if_committing, borrowed
from djtasks.worker import judge
from djtasks.worker.aftermath import Aftermath
from djtasks.worker.execution import Holder, Run, execute
from djtasks.worker.ledger import warn_of_loss
from djtasks.worker.receipt import tell_of_receipt

HOSTNAME = "djtasks@test"


class Delivery(NamedTuple):
    """What became of one delivery of a message."""

    id: str
    task: str
    number: int
    outcome: Outcome
    error: BaseException | None = None

    @property
    def state(self) -> str:
        """The state that it has led to; PENDING where the message went back to its queue."""
        goes_back = isinstance(self.outcome, outcomes.Released)
        return states.PENDING if goes_back else state_of(self.outcome)

    @property
    def result(self) -> AsyncResult:
        """The handle of the message."""
        return AsyncResult(self.id)


class InlineWorker:
    """Takes one message after the other, here and now, on the caller's own connection."""

    def __init__(self, name: str = HOSTNAME) -> None:
        self.holder = Holder(new_id(), name)
        self.holder.note = self._note
        self.aftermath = Aftermath(self.holder, AtOnce())

    @property
    def vendor(self) -> Vendor:
        """The queue on the connection that is there now: a body may have had it replaced."""
        return shared_vendor()

    def reserve(self, *queues: str, limit: int = 1, begin: bool = True) -> list[Reservation]:
        """Reserve messages that are due, of these queues or of all; with ``begin`` early ones are acknowledged, too."""
        demand = Demand(
            self.holder.worker_id,
            limit,
            settings.LEASE_SECONDS,
            queues=queues or None,
            begin=begin,
            ageing=settings.PRIORITY_AGEING_SECONDS,
        )
        return settle(self.vendor, [], demand=demand).supply.reservations

    def deliver(self, message: Reservation) -> Delivery:
        """Do with a message that was reserved what a worker does with it, from its receipt to its hooks."""
        self.holder.clock = message.reserved_at - time.monotonic()
        body = InlineBody()
        with borrowed(), at_work(message):
            reach(crashes.RESERVED)
            run = self._run(message, body)
            if self._settle(message, run):
                reach(crashes.SETTLED)
                self._tell(message, run)
        return Delivery(message.id, message.task, message.deliveries, run.outcome, error_of(run.outcome, body))

    def die(self) -> None:
        """Leave everything as it is, and let the time pass until the leases have run out."""
        lapsed = self.vendor.now() - timedelta(milliseconds=1)
        held = Message.objects.using(self.vendor.alias).filter(leased_until__isnull=False)
        held.filter(worker=self.holder.worker_id).update(leased_until=lapsed)

    def _note(self, token: Token, text: str) -> None:
        note(self.vendor, {token: text})

    def _run(self, message: Reservation, body: InlineBody) -> Run:
        outcome = judge.verdict(message, self.holder)
        if outcome is not None:
            return Run(outcome)
        tell_of_receipt(message, self.holder)
        if not self._begin(message):
            return Run(outcomes.Released())
        reach(crashes.BEGUN)
        deaths = crashes.deaths()
        run = execute(message, self.holder, body)
        # It has happened in the body, which has been judged as if it were alive.
        if crashes.deaths() > deaths:
            raise Crash
        reach(crashes.ENDED)
        return run

    def _begin(self, message: Reservation) -> bool:
        """Acknowledge an early message before it runs; say whether it may."""
        late = judge.is_late(message)
        has_begun = message.started_at is not None and not message.begun_before
        if has_begun or (late and not message.losses):
            return True
        return message.token in settle(self.vendor, [], [(message.token, late)]).begun

    def _settle(self, message: Reservation, run: Run) -> bool:
        settlement = Settlement(message.token, run.outcome, run.started_at, message)
        retention = settings.result_expires_seconds
        done = settle(self.vendor, [settlement], hostname=self.holder.hostname, retention=retention)
        if message.token not in done.settled:
            warn_of_loss(message)
        return message.token in done.settled

    def _tell(self, message: Reservation, run: Run) -> None:
        """Call the hooks and signals that follow a recorded end."""
        with as_if_committing():
            if run.started_at is None:
                self.aftermath.tell(message, run.outcome)
            elif run.after is not None:
                run.after()


class AtOnce(Executor):
    """Calls what it is given here and now."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call it; what it raises is for whoever asks."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def error_of(outcome: Outcome, body: InlineBody) -> BaseException | None:
    """Return the exception of a failure: the very one that the body raised, if it was that, else one made anew."""
    if not isinstance(outcome, outcomes.Failure):
        return None
    raised = body.error
    with suppress(KeyError, ValueError):
        kind = json.loads(outcome.error)["type"]
        if raised is not None and kind == f"{type(raised).__module__}.{type(raised).__qualname__}":
            return raised.with_traceback(body.traceback)
    return judge.error_of(outcome)
