"""Sentences for tests with real processes: start a worker, wait for a fact, read what bodies wrote down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from djtasks import AsyncResult, Task
from djtasks.conf import settings
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Reservation
from djtasks.models import Message, Result

T = TypeVar("T")
# What such a test shows does not depend on the database: once is enough.
on_one_database = pytest.mark.postgres
each_pool = pytest.mark.parametrize("pool", ["processes", pytest.param("threads", marks=on_one_database)])
QUICK = {"LEASE_SECONDS": 2, "POLL_SECONDS": 0.2}
PATIENCE = 40.0


def wait_until(fact: Callable[[], T], timeout: float = PATIENCE, what: object = "") -> T:
    """Return the first true answer; fail when there is none in time."""
    deadline = time.monotonic() + timeout
    while not (answer := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or fact}; the last answer was {answer!r}")
        time.sleep(0.01)
    return answer


# What is in the tables


def messages() -> Any:
    return Message.objects.using(settings.DATABASE)


def results() -> Any:
    return Result.objects.using(settings.DATABASE)


def settled(handle: AsyncResult | str, timeout: float = PATIENCE) -> Result:
    """Wait for a message to end; return its result."""
    return wait_until(lambda: results().filter(pk=str(handle)).first(), timeout, f"the result of {handle!r}")


def all_settled(handles: Collection[AsyncResult], timeout: float = 60) -> list[Result]:
    """Wait for all these messages to end; return their results in their order."""
    ids = [handle.id for handle in handles]
    wait_until(lambda: results().filter(pk__in=ids).count() == len(ids), timeout, f"{len(ids)} results")
    found = {str(result.pk): result for result in results().filter(pk__in=ids)}
    return [found[id] for id in ids]


def leased() -> int:
    """Count the leases that are held, in force or lapsed."""
    return int(messages().filter(leased_until__isnull=False).count())


def why(result: Result) -> str:
    """Say how a task failed: the name of the exception's class."""
    return str((result.error or {})["type"]).rpartition(".")[2]


# What bodies have done


class Diary:
    """A file into which bodies write that they run: a witness outside the database and outside every process."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "diary")
        self.gate = str(directory / "gate")

    def __str__(self) -> str:
        return self.path

    def lines(self) -> list[tuple[str, int]]:
        """Return each word that was written and the process that wrote it, in order."""
        if not os.path.exists(self.path):
            return []
        words = [line.rsplit(" ", 1) for line in Path(self.path).read_text().splitlines()]
        return [(word, int(pid)) for word, pid in words]

    def counts(self) -> Counter[str]:
        return Counter(word for word, _ in self.lines())

    def has(self, word: str, times: int = 1) -> bool:
        return self.counts()[word] >= times

    def until(self, word: str, times: int = 1, timeout: float = PATIENCE) -> int:
        """Wait for the word; return the process that wrote it last."""
        wait_until(lambda: self.has(word, times), timeout, f"{word!r} {times}x in the diary")
        return [pid for written, pid in self.lines() if written == word][-1]

    def open_gate(self) -> None:
        """Let all bodies end that wait for it, now and later."""
        Path(self.gate).touch()


# Workers


class WorkerProcess:
    """A ``runworker``, or a ``runbeat``, in processes of its own."""

    def __init__(self, arguments: Collection[str], environment: Mapping[str, str], command: str = "runworker") -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the worker runs
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "django", command, *arguments],
            env={**os.environ, **environment},
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            # A Ctrl-C for the tests is none for their workers.
            start_new_session=True,
        )
        self.process = psutil.Process(self.popen.pid)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def log(self) -> str:
        """All that it has printed."""
        return os.pread(self._output.fileno(), 10_000_000, 0).decode(errors="replace")

    def logs(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait for the text in its log."""
        wait_until(lambda: text in self.log, timeout, f"{text!r} in the log")

    def children(self) -> list[int]:
        """Return the ids of its pool processes."""
        try:
            return [child.pid for child in self.process.children() if child.status() != psutil.STATUS_ZOMBIE]
        except psutil.NoSuchProcess:
            return []

    def tree(self) -> list[int]:
        return [self.pid, *self.children()]

    def kill(self) -> None:
        """End the supervisor as a power cut does."""
        self.popen.kill()
        self.popen.wait()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.popen.send_signal(number)

    def stop(self, timeout: float = PATIENCE) -> int:
        """Ask it to stop; return its exit status."""
        self.signal()
        return self.wait(timeout)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; return its exit status."""
        return self.popen.wait(timeout)

    def pause(self) -> None:
        """Stop the whole tree in its tracks."""
        for pid in self.tree():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, the supervisor last: it may end some of the others at once."""
        for pid in reversed(self.tree()):
            os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """Leave nothing of it behind."""
        tree = self.tree()
        self.popen.kill()
        for pid in tree:
            try:
                psutil.Process(pid).kill()
            except psutil.NoSuchProcess:
                continue
        self.popen.wait()


@contextmanager
def running_worker(
    *arguments: str,
    concurrency: int | None = 2,
    url: str | None = None,
    environment: Mapping[str, str] = {},
    **own: Any,
) -> Iterator[WorkerProcess]:
    """Run a worker on the test database, with these settings of ``DJTASKS``; nothing of it is left afterwards."""
    slots = [] if concurrency is None else [f"--concurrency={concurrency}"]
    given = {**environment_for(**own), **environment}
    given["DATABASE_URL"] = url or os.environ["DATABASE_URL"]
    with _gone_afterwards(WorkerProcess([*slots, *arguments], given)) as worker:
        yield worker


@contextmanager
def running_beat(
    *arguments: str, url: str | None = None, environment: Mapping[str, str] = {}, **own: Any
) -> Iterator[WorkerProcess]:
    """Run a beat on the test database, with these settings of ``DJTASKS``; nothing of it is left afterwards."""
    given = {**environment_for(**own), **environment, "DATABASE_URL": url or os.environ["DATABASE_URL"]}
    with _gone_afterwards(WorkerProcess(arguments, given, "runbeat")) as beat:
        yield beat


def environment_for(**own: Any) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "tests.settings", "DJTASKS": json.dumps({**QUICK, **own})}


@contextmanager
def _gone_afterwards(process: WorkerProcess) -> Iterator[WorkerProcess]:
    try:
        yield process
    except BaseException as error:
        error.add_note(f"the log of the process {process.pid}:\n{process.log[-8000:]}")
        raise
    finally:
        process.end()


def drain(*arguments: str, timeout: float = 60, **own: Any) -> WorkerProcess:
    """Run a worker until nothing is ready any more."""
    with running_worker("--burst", *arguments, **own) as worker:
        assert worker.wait(timeout) == 0
    return worker


def is_running(pid: int) -> bool:
    """Say whether the process is there and is more than a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# A message as a pool gets it, without a database


def reservation(task: Task | str, *args: Any, **fields: Any) -> Reservation:
    """Make the reservation of a message that was enqueued and received right now."""
    now = time.time()
    plain: dict[str, Any] = {"deliveries": 1, "queue": "default", "kwargs": "{}", "options": "{}"}
    plain |= {"due_at": now, "enqueued_at": now, "reserved_at": now, "started_at": None, "expires_at": None}
    plain |= dict.fromkeys(("priority", "retries", "losses"), 0) | dict.fromkeys(("begun_before", "revoked"), False)
    plain |= dict.fromkeys(("group", "root", "parent"), None)
    name, late = (task, False) if isinstance(task, str) else (task.name, task.acks_late)
    return Reservation(
        **{**plain, "id": str(uuid7()), "task": name, "args": json.dumps(args), "acks_late": late, **fields}
    )
