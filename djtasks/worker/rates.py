"""How often this worker begins each task (WORK-4), and when to read for those that are limited.

A message of a limited task waits in the table: the general reading leaves it there, and one of its own takes it when
there is a token for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Self

from djtasks.broker.reserve import START_SHARE, Positions, beginning_of
from djtasks.conf import settings
from djtasks.domain.messages import Demand, Mark, Supply
from djtasks.domain.rates import Bucket, Rate, rate_of
from djtasks.tasks import registry

# A reading that steps over so much that it takes longer may take one part in twenty of the time.
LONG_SECONDS = 0.05


class Rates:
    """A bucket of tokens for each limited task of this worker."""

    def __init__(self, rates: Mapping[str, Rate] | None = None) -> None:
        given = {name: rate_of(rate) for name, rate in (rates or {}).items()}
        self._buckets: dict[str, Bucket] = {}
        for name, rate in given.items():
            if rate is not None:
                self._buckets |= dict.fromkeys(_names_of(name), Bucket(rate))
        self.limited = tuple(sorted(self._buckets))

    @classmethod
    def of_tasks(cls) -> Self:
        """Return the rates that the registered tasks ask for."""
        if settings.WORKER_DISABLE_RATE_LIMITS:
            return cls()
        return cls({name: registry.get(name).rate_limit for name in registry.names()})

    def change(self, task_name: str, rate: Rate) -> None:
        """Limit a task from now on, or lift its limit; raise NotRegistered, TypeError or ValueError for what cannot be.

        Safe from another thread.
        """
        names = _names_of(registry.get(task_name).name)
        per_second = rate_of(rate)
        if settings.WORKER_DISABLE_RATE_LIMITS:
            raise ValueError("this worker heeds no rate limits: DJTASKS['WORKER_DISABLE_RATE_LIMITS'] is set")
        buckets = {name: bucket for name, bucket in self._buckets.items() if name not in names}
        if per_second is not None:
            buckets |= dict.fromkeys(names, Bucket(per_second))
        # In this order: whoever reads between the two sees a limit too few, never one without its bucket.
        self._buckets = {**self._buckets, **buckets}
        self.limited = tuple(sorted(buckets))
        self._buckets = buckets

    def until_token(self, task_name: str, now: float) -> float:
        """Return the seconds until a message of this task may begin."""
        bucket = self._buckets.get(task_name)
        return bucket.until_token(now) if bucket else 0.0

    def take(self, task_name: str) -> None:
        """Note that a message is going to begin."""
        if bucket := self._buckets.get(task_name):
            bucket.take(time.monotonic())


def _names_of(task_name: str) -> tuple[str, ...]:
    """Return all names of a task: messages under an old one draw from the same bucket (E11)."""
    task = registry.find(task_name)
    return (task_name, *task.aliases) if task is not None else (task_name,)


class Outlook:
    """What is known of the messages of one limited task."""

    def __init__(self) -> None:
        self.positions = Positions(settings.POLL_SECONDS, selective=True)
        self.look_at = 0.0
        self.waits: bool | None = None


class LimitedIntake:
    """Reads for limited tasks: one message at a time, for all of those together for which there are tokens."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self._outlooks: dict[str, Outlook] = {}
        self._announced = False
        self._not_before = 0.0

    def look(self) -> None:
        """Read again at once: something was announced; safe from another thread."""
        self._announced = True

    def ask(self) -> None:
        """Note that a reading is on its way: what is announced from now on, it may not see."""
        self._announced = False

    def forget(self) -> None:
        """Begin anew: what was known may be wrong."""
        self._outlooks.clear()

    def names(self, now: float) -> tuple[str, ...]:
        """Name the tasks to read for now: all that have a token, if it is time for one of them."""
        if now < self._not_before:
            return ()
        names = tuple(name for name in self.rates.limited if not self.rates.until_token(name, now))
        is_time = self._announced or any(self._of(name).look_at <= now for name in names)
        return names if is_time else ()

    def beginning(self, names: tuple[str, ...]) -> tuple[tuple[Mark, ...] | None, float | None]:
        """Say where a reading for these begins."""
        return beginning_of([self._of(name).positions for name in names])

    def learn(self, demand: Demand, supply: Supply, seconds: float) -> None:
        """Take into account what a reading gave."""
        now = time.monotonic()
        if seconds > LONG_SECONDS:
            self._not_before = now + START_SHARE * seconds
        for name in demand.only:
            outlook = self._of(name)
            if not demand.limit:
                outlook.waits = supply.next_due is not None
                continue
            outlook.positions.learn(supply, demand.marks, seconds, full=bool(supply.reservations))
            rest = min(settings.POLL_SECONDS, outlook.positions.until_look(supply, demand.marks))
            outlook.look_at = 0.0 if supply.reservations else now + rest
            if not supply.reservations and demand.marks is None:
                outlook.waits = False
        for message in supply.reservations:
            self._of(message.task).waits = None

    def unknown(self) -> tuple[str, ...]:
        """Name the tasks of which it is not known whether anything waits for a token."""
        return tuple(name for name in self.rates.limited if self._of(name).waits is None)

    @property
    def drained(self) -> bool:
        """Whether nothing waits for a token."""
        return all(self._of(name).waits is False for name in self.rates.limited)

    def rest(self) -> float:
        """Return the seconds until it is worth reading again; one that only lacks a free slot is not waited for."""
        now = time.monotonic()
        waits = (max(self._of(name).look_at - now, self.rates.until_token(name, now)) for name in self.rates.limited)
        rest = max(self._not_before - now, min(waits, default=0.0))
        return rest if rest > 0 else settings.POLL_SECONDS

    def _of(self, name: str) -> Outlook:
        if name not in self._outlooks:
            self._outlooks[name] = Outlook()
        return self._outlooks[name]
