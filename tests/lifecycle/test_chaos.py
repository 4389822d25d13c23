"""Processes killed at random under load: F1, F26, C21; G2, G3, G4."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection, connections

from djtasks.models import Result
from tests.helpers import Diary, WorkerProcess, leased, messages, results, running_worker, wait_until, why
from tests.tasks import note, note_late

pytestmark = pytest.mark.django_db(transaction=True)


class Fleet:
    """Workers of which a random process is killed now and then; whoever loses its supervisor is replaced."""

    def __init__(self, stack: ExitStack, size: int) -> None:
        self._stack = stack
        self.workers = [self._hire() for _ in range(size)]

    def _hire(self) -> WorkerProcess:
        pool = random.choice(["processes", "processes", "threads"])
        return self._stack.enter_context(running_worker(f"--pool={pool}", LEASE_SECONDS=2, MAX_DELIVERIES=50))

    def strike(self) -> None:
        place = random.randrange(len(self.workers))
        worker = self.workers[place]
        victim = random.choice(worker.tree())
        if victim == worker.pid:
            worker.kill()
            self.workers[place] = self._hire()
        else:
            os.kill(victim, signal.SIGKILL)


class Callers:
    """Threads that enqueue, early and late in turn, and keep what they were told."""

    def __init__(self, diary: Diary, count: int, threads: int = 2) -> None:
        self.diary, self.share = diary, count // threads
        self.sent: dict[str, str] = {}
        self.errors: list[BaseException] = []
        self.threads = [threading.Thread(target=self._call, args=(number,)) for number in range(threads)]
        for thread in self.threads:
            thread.start()

    def _call(self, caller: int) -> None:
        try:
            for number in range(self.share):
                task, word = (note, note_late)[number % 2], f"{caller}-{number}"
                self.sent[task.delay(self.diary.path, word, random.uniform(0, 0.01)).id] = word
        except BaseException as error:
            self.errors.append(error)
        finally:
            connections.close_all()


@pytest.mark.parametrize(
    ("count", "kills"), [(1500, 15), pytest.param(20_000, 200, marks=pytest.mark.soak)], ids=["quick", "long"]
)
def test_kills_lose_nothing_and_double_nothing(diary: Diary, count: int, kills: int) -> None:
    """F1, F26: every message ends once, no early one ran twice, each rerun of a late one is explained."""
    if connection.vendor == "sqlite":
        count, kills = count // 2, kills // 2
    with ExitStack() as stack:
        fleet = Fleet(stack, 4)
        callers = Callers(diary, count)
        for kill in range(kills):
            wait_until(lambda kill=kill: results().count() >= kill * count // (kills + 1), timeout=120)
            fleet.strike()
        for thread in callers.threads:
            thread.join()
        wait_until(lambda: results().count() >= count, timeout=120, what=Missing(callers))
    assert callers.errors == []
    assert (results().count(), messages().count(), leased()) == (count, 0, 0)
    runs = diary.counts()
    for result in results().iterator():
        check(result, runs[callers.sent[str(result.pk)]])


class Missing:
    """Says, when it comes to that, what has not ended."""

    def __init__(self, callers: Callers) -> None:
        self.callers = callers

    def __repr__(self) -> str:
        rows = messages().values("id", "task", "due_at", "leased_until", "deliveries", "losses", "started_at")[:5]
        return f"{len(self.callers.sent)} sent, {self.callers.errors}, left: {list(rows)}"


def check(result: Result, runs: int) -> None:
    found: dict[str, Any] = {"id": result.pk, "state": result.state, "runs": runs, "errors": result.errors}
    lost = [error for error in result.errors if error["kind"] == "lost"]
    if result.task == note_late.name:
        assert result.state == "SUCCESS" and 1 <= runs <= 1 + len(lost), found
    elif result.state == "SUCCESS":
        assert runs == 1, found
    else:
        assert runs <= 1 and why(result) == "WorkerLostError", found
