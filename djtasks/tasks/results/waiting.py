"""The wait for messages to end, one or many, on one connection of its own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import takewhile

from django.db import OperationalError, connections

from djtasks.broker.vendors import Listener, private_vendor, shared_vendor
from djtasks.broker.vendors.base import RESULTS_CHANNEL
from djtasks.conf import settings
from djtasks.domain.batches import batches
from djtasks.exceptions import TimeoutError
from djtasks.models import Message

BATCH = 1000
SHORTEST_INTERVAL = 0.01
# Each a good third longer than the last: whoever has waited so long hears of the end by so much later.
PAUSES = (0.0005, 0.0007, 0.001, 0.0014, 0.002, 0.0027, 0.0037, 0.005)
# To look at many takes its time: so many of them a second, and no more often.
LOOKS_A_SECOND = 50_000


def wait_until_gone(
    message_id: str, timeout: float | None, interval: float, given_up: threading.Event | None = None
) -> None:
    """Wait until the message is gone, woken by the announcement of its end where there is one.

    Raises TimeoutError after ``timeout`` seconds. ``given_up`` tells that nobody waits for the answer any more.
    """
    with Watch(timeout, interval, given_up) as watch:
        if not _is_gone_soon(message_id, timeout):
            for _ in watch.in_order([message_id]):
                pass


def _is_gone_soon(message_id: str, timeout: float | None) -> bool:
    """Look a few times on the caller's own connection, if it has one that sees what others commit.

    What is short has ended by then, and to open a connection would have taken as long.
    """
    vendor = shared_vendor()
    if vendor.connection.connection is None or vendor.joins:
        return False
    left = math.inf if timeout is None else timeout
    for pause in PAUSES:
        if left < pause:
            return False
        left -= pause
        time.sleep(pause)
        if not vendor.living([message_id]):
            return True
    return False


class Watch:
    """Sees messages go, and raises TimeoutError when ``timeout`` seconds have passed since it was made."""

    def __init__(self, timeout: float | None, interval: float, given_up: threading.Event | None = None) -> None:
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._interval = max(interval, SHORTEST_INTERVAL)
        self._given_up = given_up or threading.Event()
        self._vendor = private_vendor()
        # What is short has ended before anybody could be asked to tell of it, which costs a commit.
        self._listener: Listener | None = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._listener is not None:
            self._listener.close()
        self._vendor.connection.close()

    def in_order(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Yield the ids in their order, those of messages that are gone and come after no other one."""
        for batch in batches(ids, BATCH):
            while batch:
                # Only for the first is the waiter woken: by then many of those behind it have ended, too.
                living = self._living(batch, batch[:1])
                gone = list(takewhile(lambda each: each not in living, batch))  # noqa: B023, used up at once
                if gone:
                    del batch[: len(gone)]
                    yield gone
                elif self._given_up.is_set():
                    return
                else:
                    self._wait(dict.fromkeys(batch[:1]), len(batch))

    def as_they_come(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Yield the ids of messages that are gone, as soon as that is seen."""
        awaited = dict.fromkeys(ids)
        candidates: Collection[str] = list(awaited)
        while awaited and not self._given_up.is_set():
            for batch in batches(candidates, BATCH):
                living = self._living(batch, batch)
                if gone := [each for each in batch if each not in living]:
                    for each in gone:
                        del awaited[each]
                    yield gone
            candidates = self._wait(awaited, len(awaited)) if awaited else ()

    def _living(self, batch: Sequence[str], told_of: Sequence[str]) -> set[str]:
        """Say who lives; whoever ends after this look is told of, as soon as somebody listens."""
        if self._listener is not None:
            self._vendor.await_results(told_of)
        return self._vendor.living(batch)

    def _wait(self, awaited: Mapping[str, None], many: int) -> Collection[str]:
        """Sleep until some of these may have ended, at most for an interval; return which are to be looked at.

        To be woken is to look at so ``many``.
        """
        if self._listener is None:
            # They may have ended since the last look, which nobody was asked to tell of.
            self._listener = self._vendor.listen(RESULTS_CHANNEL)
            return list(awaited)
        now = time.monotonic()
        pause = many / LOOKS_A_SECOND
        until = now + max(self._interval, pause)
        if self._deadline is not None:
            until = min(until, self._deadline)
            if until <= now:
                raise self._too_late(awaited)
        if not self._listener.hears:
            time.sleep(min(pause, until - now))
        while (left := until - time.monotonic()) > 0:
            announced = {each.payload for each in self._listener.wait(left)}
            if not self._listener.hears:
                break
            if named := announced & awaited.keys():
                return named
        return list(awaited)

    def _too_late(self, awaited: Mapping[str, None]) -> TimeoutError:
        first, *others = awaited
        them = f"the task {first} has" if not others else f"the tasks {first} and {len(others)} others have"
        return TimeoutError(f"{them} not ended within {self._timeout} seconds")


def check_that_workers_can_end(ids: Sequence[str]) -> None:
    """Raise RuntimeError where the transaction that is open here keeps messages from ending as long as one waits."""
    if not connections[settings.DATABASE].in_atomic_block:
        return
    vendor = private_vendor()
    visible: set[str] = set()
    try:
        visible.update(each for batch in batches(ids, BATCH) for each in vendor.living(batch))
    except OperationalError:
        # One in memory, as tests have it, shows nothing to others while it is written to.
        if not vendor.one_writer:
            raise
    finally:
        vendor.connection.close()
    hidden = [each for each in ids if each not in visible]
    # They may have ended since the caller looked, so that nobody sees them.
    for batch in batches(hidden, BATCH):
        for pk in Message.objects.using(settings.DATABASE).filter(pk__in=batch).values_list("pk", flat=True)[:1]:
            raise RuntimeError(
                f"{pk} was sent in the transaction that is still open here, or has ended where this cannot see it: "
                "no worker can have it now; wait for it after the commit, or in a test drain() first"
            )
    if visible and vendor.one_writer:
        raise RuntimeError(
            f"while the transaction that is open here lasts, no worker can write that {min(visible)} has ended; "
            "wait for it after the commit"
        )
