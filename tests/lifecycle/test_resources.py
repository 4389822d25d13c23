"""What processes have and keep: A10, A13, F25, WORK-2."""

from __future__ import annotations

import gc
import os
import signal
from io import StringIO
from pathlib import Path

import psutil
import pytest
from django.core.management import call_command
from django.db import connection

from djtasks import enqueue_many
from tests.helpers import (
    Diary,
    WorkerProcess,
    all_settled,
    each_pool,
    messages,
    on_one_database,
    results,
    running_worker,
    settled,
    wait_until,
)
from tests.tasks import add, add_late, count_frozen, grow, hold_connected, note, note_late

pytestmark = pytest.mark.django_db(transaction=True)


def sockets(pid: int) -> set[str]:
    """Return the sockets that a process has open."""
    found = set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.mark.postgres
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@each_pool
def test_no_socket_is_shared(diary: Diary, pool: str) -> None:
    """A10: each process has its own connections and inherits none, also one that was started later."""
    with running_worker(f"--pool={pool}", concurrency=3) as worker:
        all_settled([note.delay(diary.path, "before")])
        first = worker.children()
        os.kill(first[0], signal.SIGKILL)
        worker.logs(f"pool process {first[0]} was killed")
        wait_until(lambda: len(worker.children()) == len(first))
        handles = [hold_connected.delay(diary.path, f"body {number}", diary.gate) for number in range(3)]
        for number in range(3):
            diary.until(f"body {number}")
        open_sockets = [socket for pid in worker.tree() for socket in sockets(pid)]
        assert len(open_sockets) == len(set(open_sockets))
        diary.open_gate()
        backends = [result.value for result in all_settled(handles)]
        assert len(set(backends)) == 3
        assert worker.stop() == 0


@each_pool
def test_pool_processes_are_replaced_after_so_many_tasks(diary: Diary, pool: str) -> None:
    """A13, WORK-2: and nothing that they held is dropped."""
    handles = []
    for number in range(20):
        handles += [note.delay(diary.path, f"early {number}"), note_late.delay(diary.path, f"late {number}")]
    with running_worker(f"--pool={pool}", "--max-tasks-per-child=9", LEASE_SECONDS=60) as worker:
        for result in all_settled(handles):
            assert (result.state, result.losses) == ("SUCCESS", 0)
        assert "is lost" not in worker.log and "lease lost" not in worker.log
        assert worker.stop() == 0
    assert set(diary.counts().values()) == {1}
    assert len({pid for _, pid in diary.lines()}) >= 40 // 9


@on_one_database
def test_pool_processes_that_have_grown_are_replaced(diary: Diary) -> None:
    """A13, WORK-2: after the task that made them grow."""
    handles = [grow.delay(diary.path, f"body {number}", 150) for number in range(4)]
    with running_worker("--max-memory-per-child=200000", concurrency=1, LEASE_SECONDS=60) as worker:
        assert {(result.state, result.losses) for result in all_settled(handles)} == {("SUCCESS", 0)}
        wait_until(lambda: len(worker.children()) == 1)
        assert worker.stop() == 0
    pids = [pid for _, pid in diary.lines()]
    assert len(set(pids)) == len(pids) == 4


# More than an interpreter brings along, and fewer than Django alone has.
LOADED = 10_000


@on_one_database
@pytest.mark.parametrize("pool", ["processes", "threads", "eventloop", "solo"])
def test_collector_does_not_look_at_what_is_loaded(pool: str) -> None:
    handle = count_frozen.delay()
    with running_worker(f"--pool={pool}", concurrency=1):
        assert settled(handle).value > LOADED


@on_one_database
def test_worker_that_is_called_leaves_the_collector_as_it_was() -> None:
    handle = count_frozen.delay()
    call_command("runworker", "--burst", "--pool=solo", stdout=StringIO())
    assert settled(handle).value > LOADED > gc.get_freeze_count()


def usage(worker: WorkerProcess) -> dict[str, list[int]]:
    """Return the files, threads and memory (in MiB) of each process of the tree, and its connections."""
    tree = [psutil.Process(pid) for pid in worker.tree()]
    found = {
        "files": [process.num_fds() for process in tree],
        "threads": [process.num_threads() for process in tree],
        "memory": [process.memory_info().rss // 2**20 for process in tree],
        "connections": [0],
    }
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            found["connections"] = list(cursor.fetchone())
    return found


def is_within(used: dict[str, list[int]], before: dict[str, list[int]]) -> bool:
    """Say whether no process has more of anything but memory than before."""
    kinds = used.keys() - {"memory"}
    return all(now <= then for kind in kinds for now, then in zip(used[kind], before[kind], strict=True))


def keep_busy(count: int) -> None:
    """Have so many tasks run, of which the last ones are late."""
    for start in range(0, count, 1000):
        task = add if start < count / 2 else add_late
        last = enqueue_many([(task, (number, 1)) for number in range(min(1000, count - start))])[-1]
        settled(last, timeout=120)
    wait_until(lambda: not messages().exists(), timeout=120)


@each_pool
@pytest.mark.parametrize("count", [2500, pytest.param(100_000, marks=pytest.mark.soak)])
def test_many_tasks_leave_nothing_behind(count: int, pool: str) -> None:
    """A13, F25: files, threads and connections are as before, memory is 10 MB more at most."""
    with running_worker(f"--pool={pool}", "--loglevel=warning") as worker:
        # A process that is still starting has but one thread, and leaves all of the work to the others.
        wait_until(
            lambda: worker.children() and all(psutil.Process(pid).num_threads() > 1 for pid in worker.children())
        )
        keep_busy(1000)
        before = usage(worker)
        keep_busy(count)
        # Between two beats there may be a moment's connection more, now as well as before.
        wait_until(lambda: is_within(usage(worker), before), what=(before, usage(worker)))
        grown = [after - first for after, first in zip(usage(worker)["memory"], before["memory"], strict=True)]
        assert max(grown) <= 10
        assert worker.stop() == 0
    assert results().count() == 1000 + count
