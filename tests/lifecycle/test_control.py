"""The remote control of real workers: WORK-10, WORK-12, ROUTE-3, S21, MON-6."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from djtasks import control, inspect
from djtasks.models import Command, Worker
from tests.helpers import (
    Diary,
    WorkerProcess,
    messages,
    on_one_database,
    running_worker,
    settled,
    wait_until,
)
from tests.tasks import add, hold, note

pytestmark = pytest.mark.django_db(transaction=True)
CALM = {"LEASE_SECONDS": 30, "POLL_SECONDS": 1}


def until_ready(*workers: WorkerProcess) -> None:
    """Wait for the workers to listen, and their pools to take messages."""
    wait_until(lambda: Worker.objects.filter(pid__in=[worker.pid for worker in workers]).count() == len(workers))
    for worker in workers:
        wait_until(worker.children)


def test_worker_answers_what_it_does(diary: Diary) -> None:
    """WORK-10: long before it would look by itself."""
    with running_worker(
        "-n", "one@test", "-Q", "default,mail", concurrency=1, LEASE_SECONDS=60, POLL_SECONDS=30
    ) as worker:
        until_ready(worker)
        assert inspect().active() == {"one@test": []}
        running = hold.delay(diary.path, "body", diary.gate)
        pid = diary.until("body")
        began_at = time.monotonic()
        (facts,) = inspect(timeout=10).active()["one@test"]
        assert time.monotonic() - began_at < 10
        assert (facts["id"], facts["name"], facts["worker_pid"]) == (running.id, "tests.tasks.hold", pid)
        assert diary.path in facts["args"] and facts["acknowledged"] and 0 < facts["seconds"] < 60
        assert abs(facts["time_start"] + facts["seconds"] - time.time()) < 5
        later = add.apply_async((1, 2), countdown=600, queue="mail", priority=3)
        add.apply_async((1, 2), countdown=600, queue="audio")
        ((planned,),) = inspect(timeout=10).scheduled().values()
        assert (planned["request"]["id"], planned["priority"]) == (later.id, 3)
        assert inspect("one@test", timeout=10).active_queues() == [{"name": "default"}, {"name": "mail"}]
        assert inspect(timeout=10).query_task(running.id, later.id)["one@test"].keys() == {running.id}
        running.revoke()
        assert inspect(timeout=10).revoked() == {"one@test": [running.id]}
        diary.open_gate()
        settled(running)
        stats = wait_until(lambda: (found := inspect("one@test").stats()) and found["total"] and found)
        assert stats["total"] == {"tests.tasks.hold": 1} and stats["pool"]["processes"] == worker.children()
        assert not Command.objects.exists()
        assert worker.stop() == 0


def leave_dead_worker(name: str) -> None:
    Worker.objects.filter(name=name).delete()
    dead = Worker.objects.create(name=name, host="h", pid=1, pool="solo", slots=1)
    Worker.objects.filter(pk=dead.pk).update(seen_at="2020-01-01T00:00:00Z")


def test_idle_silent_dead_and_unknown_are_told_apart() -> None:
    """WORK-10, WORK-11: silence is not death."""
    with (
        running_worker("-n", "idle@test", concurrency=1, **CALM) as idle,
        running_worker("-n", "silent@test", concurrency=1, **CALM) as silent,
    ):
        until_ready(idle, silent)
        silent.pause()
        leave_dead_worker("dead@test")
        asked = inspect(timeout=3)
        assert asked.active() == {"idle@test": []}
        assert asked.missing() == {"silent@test": "no answer", "dead@test": "dead"}
        # The idle one clears away now and then what is dead.
        idle.pause()
        leave_dead_worker("dead@test")
        named = inspect(["dead@test", "nobody@test"], timeout=0.5)
        assert named.active() is None
        assert named.missing() == {"dead@test": "dead", "nobody@test": "unknown"}
        idle.resume()
        silent.resume()
        wait_until(lambda: inspect("silent@test").active() == [])


@on_one_database
def test_one_of_two_workers_is_shut_down() -> None:
    """WORK-6, WORK-10: warmly, and after it has said so."""
    with (
        running_worker("-n", "one@test", concurrency=1, **CALM) as one,
        running_worker("-n", "two@test", concurrency=1, **CALM) as two,
    ):
        until_ready(one, two)
        answers = control.shutdown(destination=["one@test"], reply=True, timeout=10)
        assert answers == [{"one@test": {"ok": "shutting down"}}]
        assert one.wait() == 0
        assert control.ping(timeout=10) == [{"two@test": {"ok": "pong"}}]


def test_queues_are_consumed_and_dropped_at_run_time(diary: Diary) -> None:
    """ROUTE-3."""
    with running_worker("-Q", "mail", concurrency=1, **CALM) as worker:
        until_ready(worker)
        waiting = note.apply_async((diary.path, "audio"), queue="audio")
        assert answer_of(control.add_consumer("audio", reply=True, timeout=10)) == {"ok": "add consumer audio"}
        settled(waiting)
        wait_until(lambda: Worker.objects.get(pid=worker.pid).queues == ["mail", "audio"])
        control.cancel_consumer("mail", reply=True, timeout=10)
        wait_until(lambda: Worker.objects.get(pid=worker.pid).queues == ["audio"])
        left = note.apply_async((diary.path, "mail"), queue="mail")
        settled(note.apply_async((diary.path, "audio"), queue="audio"))
        assert diary.counts() == {"audio": 2} and [str(message.pk) for message in messages()] == [left.id]


@on_one_database
def test_pool_grows_shrinks_and_restarts_at_run_time(diary: Diary) -> None:
    """WORK-10: and what runs is not disturbed."""
    with running_worker(concurrency=1, **CALM) as worker:
        until_ready(worker)
        first = hold.delay(diary.path, "first", diary.gate)
        diary.until("first")
        second = hold.delay(diary.path, "second", diary.gate)
        assert answer_of(control.pool_grow(reply=True, timeout=10)) == {"ok": "pool has 2 slots"}
        diary.until("second")
        wait_until(lambda: Worker.objects.get(pid=worker.pid).slots == 2)
        before = set(worker.children())
        assert answer_of(control.pool_restart(reply=True, timeout=10)) == {"ok": "reload started"}
        diary.open_gate()
        assert settled(first).state == settled(second).state == "SUCCESS"
        wait_until(lambda: not before & set(worker.children()) and len(worker.children()) == 2)
        assert answer_of(control.pool_shrink(reply=True, timeout=10)) == {"ok": "pool has 1 slot"}
        wait_until(lambda: len(worker.children()) == 1)
        assert settled(add.delay(1, 2)).value == 3 and worker.stop() == 0


def answer_of(replies: Any) -> Any:
    """Return the answer of the only worker there is."""
    (((_, answer),),) = [reply.items() for reply in replies]
    return answer


@on_one_database
def test_wrong_commands_are_refused_and_harm_nobody() -> None:
    """WORK-10: an unknown verb, wrong arguments, a row that was spoilt by hand."""
    with running_worker("-n", "one@test", concurrency=1, **CALM) as worker:
        until_ready(worker)
        for verb, arguments, text in (
            ("shutdwn", {}, "there is no command 'shutdwn'; did you mean 'shutdown'?"),
            ("__init__", {}, "there is no command '__init__'"),
            ("pool_grow", {"n": "two"}, "expected a whole number from 1, not 'two'"),
            ("pool_grow", {"m": 1}, "pool_grow cannot be called like this"),
            ("rate_limit", {"task_name": "nobody.knows", "rate_limit": "1/m"}, "no task is named 'nobody.knows'"),
            ("autoscale", {"max": 3, "min": 1}, "this worker has no autoscaling"),
            ("add_consumer", {"queue": "a b"}, "is no name for a queue"),
        ):
            refusal = answer_of(control.broadcast(verb, arguments, reply=True, timeout=10))
            assert text in refusal["error"], verb
        row = Command.objects.create(worker=Worker.objects.get(pid=worker.pid).pk, verb="ping", arguments=[1])
        wait_until(lambda: Command.objects.get(pk=row.pk).failed)
        assert control.ping(timeout=10) == [{"one@test": {"ok": "pong"}}]
        assert worker.stop() == 0


@on_one_database
def test_namesakes_warn() -> None:
    """WORK-12: but not the row that a dead one has left behind."""
    with running_worker("-n", "same@test", concurrency=1, **CALM) as first:
        until_ready(first)
        with running_worker("-n", "same@test", concurrency=1, **CALM) as second:
            second.logs("another worker is named same@test, too")
            until_ready(second)
            answers = inspect(timeout=10).ping()
            assert len(answers) == 2 and all(re.fullmatch(r"same@test \([0-9a-f-]{36}\)", name) for name in answers)
            second.kill()
        first.kill()
    with running_worker("-n", "same@test", concurrency=1, **CALM) as third:
        until_ready(third)
        assert third.stop() == 0
    assert "another worker" not in third.log


def test_tables_that_are_not_there_end_the_command_with_a_sentence(tmp_path: Path) -> None:
    """MON-6."""
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path}/empty",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    command = [sys.executable, "-m", "django", "djtasks", "status"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (1, "")
    assert "the database does not answer as it should: no such table" in done.stderr and "Traceback" not in done.stderr


@on_one_database
def test_worker_opens_no_listening_socket() -> None:
    """S21."""
    with running_worker(concurrency=2) as worker:
        until_ready(worker)
        for pid in worker.tree():
            listening = [each for each in psutil.Process(pid).net_connections("all") if each.status == "LISTEN"]
            assert listening == []
