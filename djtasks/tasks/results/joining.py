"""The values of many tasks, read together and waited for on one connection."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async

from djtasks.domain.batches import batches
from djtasks.models import Message
from djtasks.tasks.results.awaited import Awaited, check_that_tasks_may_wait, not_found, not_visible
from djtasks.tasks.results.record import BATCH, load, rows_of, unload
from djtasks.tasks.results.waiting import Watch, check_that_workers_can_end


class Joined:
    """Tasks and groups of tasks, in an order."""

    results: list[Any]

    def _leaves(self) -> list[Awaited]:
        return [leaf for member in self.results for leaf in member._leaves()]

    def join(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        disable_sync_subtasks: bool = True,
        on_interval: Any = None,
    ) -> list[Any]:
        """Wait for all and return their values in their order, or raise the first error in that order (RES-12).

        With a ``callback`` it gets each id and value in turn, and nothing is collected. ``timeout`` is for all
        together; what has not ended then goes on. Raises what ``AsyncResult.get`` raises. ``no_ack``, ``on_message``
        and ``on_interval`` are Celery's and mean nothing here.
        """
        leaves = self._leaves()
        join = Join(leaves, disable_sync_subtasks)
        with closing(join.in_order(leaves, timeout, interval)) as waves:
            values = chain.from_iterable(join.values(wave, propagate, keep=callback is None) for wave in waves)
            if callback is None:
                return [_shaped(member, values) for member in self.results]
            for member in self.results:
                callback(member.id, _shaped(member, values))
        return []

    # By the name that tasks have for it, and by Celery's other one.
    get = join
    join_native = join

    async def aget(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        disable_sync_subtasks: bool = True,
    ) -> list[Any]:
        """``join`` from a coroutine."""
        leaves = self._leaves()
        join = await sync_to_async(Join)(leaves, disable_sync_subtasks)
        given_up = threading.Event()
        waves = join.in_order(leaves, timeout, interval, given_up)
        values: list[Any] = []
        try:
            # A thread of its own: Django's one for such calls has to stay free for others.
            while wave := await asyncio.to_thread(next, waves, None):
                values += await sync_to_async(lambda: list(join.values(wave, propagate)))()
        finally:
            given_up.set()
            # Where it waits in its thread still, it ends by itself.
            with suppress(ValueError):
                await asyncio.to_thread(waves.close)
        rest = iter(values)
        return [_shaped(member, rest) for member in self.results]

    ajoin = aget

    def iterate(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        disable_sync_subtasks: bool = True,
    ) -> Iterator[Any]:
        """Yield the values of members as they end, and raise the first error that comes."""
        join = Join(self._leaves(), disable_sync_subtasks)
        for members in join.as_they_come(self.results, timeout, interval):
            values = join.values([leaf for member in members for leaf in member._leaves()], propagate, keep=False)
            for member in members:
                yield _shaped(member, values)

    def iter_native(
        self,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Any = None,
        disable_sync_subtasks: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        """Yield the ids of members as they end, each with a dict of what it has come to; of a group, its members."""
        join = Join(self._leaves(), disable_sync_subtasks)
        for members in join.as_they_come(self.results, timeout, interval):
            loaded = load(leaf for member in members for leaf in member._leaves())
            for member in members:
                yield member.id, list(member.results) if isinstance(member, Joined) else _told(member)
            unload(loaded)


class Join:
    """One wait for many tasks; raises RuntimeError where it would be an error or have no end."""

    def __init__(self, leaves: Sequence[Awaited], disable_sync_subtasks: bool) -> None:
        stored = [leaf for leaf in leaves if leaf._stored]
        if stored and disable_sync_subtasks:
            check_that_tasks_may_wait()
        unread = [leaf.id for leaf in stored if leaf._ended is None and not leaf.ignored]
        self.living = _living(unread)
        check_that_workers_can_end([each for each in unread if each in self.living])

    def in_order(
        self,
        leaves: Sequence[Awaited],
        timeout: float | None,
        interval: float,
        given_up: threading.Event | None = None,
    ) -> Generator[list[Awaited], None, None]:
        """Yield the tasks in their order, as far as they have ended."""
        awaited = list(dict.fromkeys(leaf.id for leaf in leaves if leaf.id in self.living))
        pending, place = set(awaited), 0
        for gone in self._watched(awaited, timeout, interval, given_up):
            pending.difference_update(gone)
            first = place
            while place < len(leaves) and leaves[place].id not in pending:
                place += 1
            yield from batches(leaves[first:place], BATCH)

    def _watched(
        self, awaited: list[str], timeout: float | None, interval: float, given_up: threading.Event | None
    ) -> Iterator[list[str]]:
        # Before anybody waits, those that have ended already.
        yield []
        if awaited:
            with Watch(timeout, interval, given_up) as watch:
                yield from watch.in_order(awaited)

    def as_they_come(self, members: Sequence[Any], timeout: float | None, interval: float) -> Iterator[list[Any]]:
        """Yield members when all of their tasks have ended."""
        awaited = [{leaf.id for leaf in member._leaves()} & self.living for member in members]
        yield from batches((member for member, ids in zip(members, awaited, strict=True) if not ids), BATCH)
        owners: dict[str, list[int]] = defaultdict(list)
        for place, ids in enumerate(awaited):
            for each in ids:
                owners[each].append(place)
        if not owners:
            return
        with Watch(timeout, interval) as watch:
            for gone in watch.as_they_come(list(owners)):
                touched = [(place, each) for each in gone for place in owners[each]]
                for place, each in touched:
                    awaited[place].discard(each)
                if come := [members[place] for place in dict.fromkeys(p for p, _ in touched) if not awaited[place]]:
                    yield come

    def values(self, leaves: Sequence[Awaited], propagate: bool, keep: bool = True) -> Iterator[Any]:
        """Yield the values of what has ended; unless told to, keep none of them with their handles."""
        loaded = load(leaf for leaf in leaves if not leaf.ignored)
        missing = {leaf.id for leaf in leaves if leaf._stored and leaf._ended is None and not leaf.ignored}
        invisible = _living(list(missing))
        try:
            for leaf in leaves:
                if leaf.id not in missing:
                    yield leaf._outcome(propagate)
                elif leaf.id in invisible:
                    raise not_visible(leaf.id)
                elif leaf.id not in self.living:
                    raise not_found(leaf.id)
                else:
                    # It has ended, and its result was not to be kept.
                    yield None
        finally:
            if not keep:
                unload(loaded)


def _living(ids: Sequence[str]) -> set[str]:
    """Name those whose messages are seen here."""
    found = (rows_of(Message).filter(pk__in=some).values_list("pk", flat=True) for some in batches(ids, BATCH))
    return {str(pk) for pk in chain.from_iterable(found)}


def _shaped(member: Any, values: Iterator[Any]) -> Any:
    """Take the value of a member from those of tasks: of a group a list."""
    if isinstance(member, Joined):
        return [_shaped(each, values) for each in member.results]
    return next(values)


def _told(leaf: Awaited) -> dict[str, Any]:
    return {"task_id": leaf.id, "status": leaf.state, "result": leaf.result, "traceback": leaf.traceback}
