"""A consumer at work without a database and without processes: its queue and its pool are in the hands of the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection

from djtasks.broker.vendors import Exchange, Recovered, Vendor
from djtasks.domain.ends import End
from djtasks.domain.messages import Demand, NewMessage, Reservation, Supply, Token
from djtasks.domain.outcomes import Outcome, Settlement, Success
from djtasks.domain.workflows import Edge
from djtasks.worker.consumer import Consumer
from djtasks.worker.ending import Ending
from djtasks.worker.execution import Holder
from djtasks.worker.holdings import Holdings
from djtasks.worker.intake import Intake
from djtasks.worker.ledger import Ledger
from djtasks.worker.limits import Limits
from djtasks.worker.pools.base import Ended, Event, Pool, Returned
from tests.helpers import wait_until


class Shelf(Vendor):
    """A queue in memory: gives out what lies on it, and remembers how everything ended."""

    def __init__(self) -> None:
        super().__init__(connection)
        self.ready: list[Reservation] = []
        self.leased: dict[Token, Reservation] = {}
        self.outcomes: list[tuple[Token, Outcome]] = []
        self.demands: list[Demand] = []
        self.recoveries = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def exchange(
        self,
        settlements: Sequence[Settlement],
        begin: Sequence[tuple[Token, bool]],
        demand: Demand | None,
        *,
        hostname: str,
        retention: float | None,
    ) -> Exchange:
        self.before()
        settled = {each.token for each in settlements if self.leased.pop(each.token, None)}
        self.outcomes += [(each.token, each.outcome) for each in settlements if each.token in settled]
        begun = {token for token, _ in begin if token in self.leased}
        supply = Supply([])
        if demand:
            self.demands.append(demand)
            fit = [each for each in self.ready if not demand.only or each.task in demand.only]
            fit = [each for each in fit if each.task not in demand.without]
            supply = Supply(fit[: demand.limit], 0.0 if fit and not demand.limit else None)
            self.ready = [each for each in self.ready if each not in supply.reservations]
            self.leased |= {message.token: message for message in supply.reservations}
        self.after()
        return Exchange(settled, begun, supply)

    def recover(self, worker: str, held: Collection[Token], lease: float) -> Recovered:
        self.recoveries += 1
        adopted = [message for token, message in self.leased.items() if token not in held]
        return Recovered(adopted, set(held) - self.leased.keys())

    # What no consumer asks for.

    def insert(self, messages: Sequence[NewMessage]) -> datetime: ...
    def insert_workflow(self, messages: Sequence[NewMessage], edges: Sequence[Edge]) -> None: ...
    def end_blocked(self, ids: Sequence[str], end: End, *, hostname: str, retention: float | None) -> None: ...
    def await_results(self, ids: Sequence[str]) -> None: ...

    def renew(self, tokens: Collection[Token], lease: float) -> set[Token]:
        return set(tokens)

    def revoked(self, tokens: Collection[Token]) -> dict[Token, str]:
        return {}

    def revoke(self, message_id: UUID, error: str, **given: object) -> str | None:
        return None

    def note(self, notes: Mapping[Token, str]) -> set[Token]:
        return set(notes)

    def purge_results(self, limit: int) -> int:
        return 0

    def living(self, ids: Collection[str]) -> set[str]:
        return set()


class Hand(Pool):
    """A pool whose bodies end when the test says so."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots, Holder("00000000-0000-0000-0000-000000000001", "hand"))
        self.running: dict[Token, Reservation] = {}
        self.alone: list[Token] = []
        self.confirmed: dict[Token, bool] = {}
        self.abandoned: list[Token] = []
        self.returned: list[Token] = []
        self.age = 0.0
        self.interrupted: list[Token] = []
        self.terminated: list[tuple[Token, str]] = []
        self.told: list[Token] = []

    def start(self) -> None: ...
    def warn(self) -> None: ...

    def pids(self) -> list[int]:
        return []

    def idle(self) -> int:
        return self.room(1)

    def is_busy(self) -> bool:
        return bool(self.running)

    def room(self, depth: int) -> int:
        return max(0, self.slots * depth - len(self.running))

    def begun(self) -> dict[Token, float]:
        return {token: time.monotonic() - self.age for token in list(self.running)[: self.slots]}

    def interrupt(self, token: Token) -> None:
        self.interrupted.append(token)

    def terminate(self, token: Token, signal: str) -> None:
        del self.running[token]
        self.terminated.append((token, signal))

    def tell_revoked(self, token: Token) -> None:
        self.told.append(token)

    def submit(self, messages: Sequence[Reservation], depth: int = 1) -> None:
        assert len(messages) <= self.room(depth), "more than there is room for"
        self.running |= {message.token: message for message in messages}

    def submit_alone(self, message: Reservation) -> bool:
        if not self.room(1):
            return False
        self.alone.append(message.token)
        self.running[message.token] = message
        return True

    def recall(self) -> None:
        behind = list(self.running)[self.slots :]
        self.returned += behind
        self.running = {token: message for token, message in self.running.items() if token not in behind}

    def wait(self, timeout: float) -> list[Event]:
        returned, self.returned = self.returned, []
        return [Returned(returned)] if returned else []

    def end(self, message: Reservation, *, waits: bool = False, seconds: float = 1.0) -> Event:
        if not waits:
            del self.running[message.token]
        return Ended(message.token, Success("null"), 1.0, seconds, waits)

    def settled(self, token: Token, written: bool) -> None:
        del self.running[token]
        self.confirmed[token] = written

    def abandon(self, token: Token) -> None:
        self.abandoned.append(token)

    def close(self) -> list[Ended]:
        return []


@dataclass
class Bench:
    slots: int = 2
    shelf: Shelf = field(default_factory=Shelf)
    holdings: Holdings = field(default_factory=Holdings)

    def __post_init__(self) -> None:
        self.pool = Hand(self.slots)
        self.intake = Intake(self.pool.holder.worker_id, self.pool, self.holdings)
        ledger = Ledger(self.shelf, self.pool, self.pool.holder, self.holdings)
        self.limits = Limits(self.pool, self.holdings, hard=100.0)
        self.ending = Ending(self.pool, self.pool.holder, self.holdings, self.limits)
        self.consumer = Consumer(self.pool, self.pool.holder, self.holdings, self.intake, ledger, self.ending)

    def put(self, *messages: Reservation) -> None:
        self.shelf.ready += messages
        self.intake.look()

    def turn(self, *events: Event) -> float:
        self.consumer.absorb([*events, *self.pool.wait(0)])
        return self.consumer.step()

    def until(self, fact: Callable[[], object]) -> None:
        wait_until(lambda: self.turn() is None or fact())
