"""What a worker tells while it works: progress, signals, and its log."""

from __future__ import annotations

import json
import os

import pytest

from djtasks import AsyncResult
from tests.helpers import Diary, all_settled, messages, on_one_database, running_worker, settled, wait_until
from tests.tasks import add, fail, hold, say, tell_progress

pytestmark = pytest.mark.django_db(transaction=True)
COUNTED = {"done": 10_000, "total": 10_000, "message": "counting"}


@pytest.mark.parametrize("pool", ["processes", "threads", "solo"])
def test_progress_is_seen_while_a_task_runs(diary: Diary, pool: str) -> None:
    """RES-3: its last word, told 10,000 times; the state stays as it is."""
    handle = tell_progress.delay(diary.path, diary.gate, 10_000)
    with running_worker(f"--pool={pool}"):
        wait_until(lambda: handle.info == COUNTED, what=lambda: handle.info)
        assert handle.state == "STARTED"
        diary.open_gate()
        assert settled(handle).value == handle.info == "done"


@on_one_database
def test_progress_of_a_body_that_has_locked_its_own_row_waits_and_holds_up_nobody(diary: Diary) -> None:
    """RES-3, A1: what others tell is written meanwhile, and all leases are renewed."""
    locking = tell_progress.delay(diary.path, diary.gate, 3, locking=True)
    with running_worker():
        diary.until("told")
        free = tell_progress.delay(diary.path, f"{diary.gate} closed", 2)
        wait_until(lambda: free.info == {"done": 2, "total": 2, "message": "counting"})
        assert locking.info is None
        leased_until = messages().get(pk=free.id).leased_until
        wait_until(lambda: messages().get(pk=free.id).leased_until > leased_until)
        diary.open_gate()
        assert settled(locking).value == "done"


WORKERS = "worker_init worker_ready worker_shutting_down worker_shutdown worker_process_init worker_process_shutdown"


@pytest.mark.parametrize("pool", ["processes", "threads", "solo"])
@on_one_database
def test_worker_tells_of_its_life(diary: Diary, pool: str) -> None:
    """MON-2: each signal once in the supervisor, or once in each process that runs bodies."""
    environment = {"DJTASKS_TEST_DIARY": diary.path, "DJTASKS_TEST_SIGNALS": f"{WORKERS} heartbeat_sent task_received"}
    processes = {"processes": 2, "threads": 1, "solo": 1}[pool]
    with running_worker(f"--pool={pool}", environment=environment) as worker:
        # A process that is only just there when the worker is told to stop has nothing to say goodbye to.
        handles = [hold.delay(diary.path, "body", diary.gate) for _ in range(processes)]
        diary.until("worker_process_init", processes), diary.until("body", processes), diary.until("heartbeat_sent")
        diary.open_gate()
        all_settled(handles)
        assert worker.stop() == 0
    told = [(word.split(" ")[0], pid) for word, pid in diary.lines() if not word.startswith("heartbeat_sent")]
    received = ["task_received"] * processes
    expected = ["worker_init", "worker_ready", *received, "worker_shutting_down", "worker_shutdown"]
    assert [name for name, pid in told if pid == worker.pid and name in expected] == expected
    of_bodies = [(name, pid == worker.pid) for name, pid in told if name.startswith("worker_process")]
    here = pool == "solo"
    names = ["worker_process_init"] * processes + ["worker_process_shutdown"] * processes
    assert of_bodies == [(name, here) for name in names]


@on_one_database
def test_receivers_that_raise_harm_nobody(diary: Diary) -> None:
    """MON-2: each of them fails here, since the diary cannot be written."""
    names = f"{WORKERS} heartbeat_sent task_received task_prerun task_postrun task_success task_failure"
    nowhere = {"DJTASKS_TEST_DIARY": f"{diary.path}/no/such/place", "DJTASKS_TEST_SIGNALS": names}
    good, bad = add.delay(1, 2), fail.delay()
    with running_worker(environment=nowhere) as worker:
        assert (settled(good).value, settled(bad).state) == (3, "FAILURE")
        worker.logs("FileNotFoundError")
        assert worker.stop() == 0


@pytest.mark.parametrize("pool", ["processes", "solo"])
@on_one_database
def test_log_is_json_on_request(pool: str) -> None:
    """S13: each line of it, and those of tasks name their run."""
    evil = "a\n[CRITICAL] b \x1b[31m"
    handles = [say.delay(evil), fail.delay(evil)]
    with running_worker(f"--pool={pool}", "--log-format=json") as worker:
        for handle in handles:
            settled(handle)
        wait_until(lambda: worker.log.count("task_id") >= 4)
        assert worker.stop() == 0
    lines = [json.loads(line) for line in worker.log.splitlines() if line.startswith("{")]
    said = [line for line in lines if line.get("task_id") == handles[0].id]
    assert [line["message"] for line in said[:2]] == [f"own {evil}", f"library {evil}"]
    assert all(line["task_name"] == "tests.tasks.say" and line["attempt"] == 1 for line in said)
    (failed,) = [line for line in lines if line.get("task_id") == handles[1].id]
    assert "ValueError" in failed["traceback"] and os.linesep in failed["traceback"]


@on_one_database
def test_text_of_the_log_cannot_be_forged() -> None:
    """S13: by an argument that a task logs, and by what an exception says."""
    evil = "a\n[CRITICAL] b \x1b[31m\u202e"
    handles: list[AsyncResult] = [say.delay(evil), fail.delay(evil)]
    with running_worker("--pool=solo") as worker:
        for handle in handles:
            settled(handle)
        assert worker.stop() == 0
    shown = r"a\n[CRITICAL] b \x1b[31m\u202e"
    assert f"tests.tasks.say[{handles[0].id}] attempt 1: own {shown}" in worker.log
    assert f"    ValueError: {shown}" in worker.log
    assert not {"\x1b", "\u202e"} & set(worker.log)
    assert not [line for line in worker.log.splitlines() if line.lstrip().startswith("[CRITICAL]")]
