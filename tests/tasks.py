"""Sample tasks for tests that need a worker in a process of its own.

A ``diary`` is a file to which a body appends the words that it was given, and its process; see ``helpers.Diary``.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import threading
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.dispatch import receiver
from django.utils import timezone, translation

from djtasks import Task, shared_task, signals

LONGEST_HOLD = 60.0
VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="clean")


def write(diary: str, word: str) -> None:
    """Append a line in one piece, whoever else writes."""
    file = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{word} {os.getpid()}\n".encode())
    os.close(file)


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task(acks_late=True)
def add_late(x: int, y: int) -> int:
    return x + y


@shared_task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@shared_task(bind=True, default_retry_delay=0)
def fail_twice(self) -> int:
    if self.request.retries < 2:
        self.retry(exc=ValueError("again"))
    return self.request.retries


@shared_task
def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shared_task(acks_late=True)
def sleep_late(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


# Bodies that write down that they run


def _note(diary: str, word: str, seconds: float = 0) -> None:
    write(diary, word)
    time.sleep(seconds)


def _hold(diary: str, word: str, gate: str) -> None:
    write(diary, word)
    deadline = time.monotonic() + LONGEST_HOLD
    while not os.path.exists(gate):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{gate} was not opened")
        time.sleep(0.01)
    write(diary, f"{word} ended")


note = shared_task(name="tests.tasks.note")(_note)
note_late = shared_task(name="tests.tasks.note_late", acks_late=True)(_note)
hold = shared_task(name="tests.tasks.hold")(_hold)
hold_late = shared_task(name="tests.tasks.hold_late", acks_late=True)(_hold)


@shared_task(acks_late=True)
def hold_connected(diary: str, word: str, gate: str) -> int:
    """Hold with an open connection to the database; return the server's process for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    _hold(diary, word, gate)
    return int(backend)


@shared_task(bind=True)
def note_when_stopping(self, diary: str, word: str) -> None:
    """Run until the worker is asked to stop."""
    write(diary, word)
    deadline = time.monotonic() + LONGEST_HOLD
    while not self.request.stopping and time.monotonic() < deadline:
        time.sleep(0.01)
    write(diary, f"{word} was told")


@shared_task(bind=True, acks_late=True)
def note_when_lost(self, diary: str, word: str) -> None:
    """Run until the message is somebody else's."""
    write(diary, word)
    deadline = time.monotonic() + LONGEST_HOLD
    while not self.request.lost and time.monotonic() < deadline:
        time.sleep(0.01)
    write(diary, f"{word} was told")


def _hog(diary: str, word: str, seconds: float) -> None:
    """Sleep in C without letting go of the interpreter."""
    write(diary, word)
    ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1e6)))
    write(diary, f"{word} ended")


hog = shared_task(name="tests.tasks.hog")(_hog)
hog_late = shared_task(name="tests.tasks.hog_late", acks_late=True)(_hog)


# Bodies that end their process


@shared_task(acks_late=True)
def die_late() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _perish(diary: str, word: str, way: str) -> None:
    write(diary, word)
    match way:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(9)
        case "crash":
            ctypes.string_at(0)
    raise AssertionError(f"lives on after {way}")


perish = shared_task(name="tests.tasks.perish")(_perish)
perish_late = shared_task(name="tests.tasks.perish_late", acks_late=True)(_perish)


# Bodies with hooks


class Hooked(Task):
    """Writes down, a little later, that the end was recorded."""

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        time.sleep(0.3)
        write(args[0], f"{args[1]} on_success")


note_hooked = shared_task(name="tests.tasks.note_hooked", base=Hooked)(_note)
hold_hooked = shared_task(name="tests.tasks.hold_hooked", base=Hooked, acks_late=True)(_hold)


# Bodies that grow, and bodies that raise what nobody should


KEPT: list[bytearray] = []


@shared_task
def grow(diary: str, word: str, mebibytes: int) -> None:
    """Leak memory."""
    KEPT.append(bytearray(os.urandom(1024) * 1024 * mebibytes))
    write(diary, word)


class Unspeakable(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__


class Argless(Exception):
    """An exception whose arguments cannot be read."""

    args = property(lambda self: 1 / 0)  # type: ignore[assignment]


NASTIES: dict[str, Any] = {
    "system exit": lambda: SystemExit(3),
    "keyboard interrupt": lambda: KeyboardInterrupt(),
    "generator exit": lambda: GeneratorExit(),
    "group": lambda: BaseExceptionGroup("many", [ValueError("a"), SystemExit(1)]),
    "memory": lambda: MemoryError(),
    "recursion": lambda: RecursionError("deep"),
    "stop iteration": lambda: StopIteration(1),
    "unspeakable": lambda: Unspeakable("x"),
    "argless": lambda: Argless("x"),
    "huge": lambda: ValueError("x" * 5_000_000),
    "null": lambda: ValueError("a\x00b \ud800 c"),
    "cancelled": lambda: asyncio.CancelledError(),
    "base": lambda: BaseException("bare"),
    "object": lambda: ValueError(object()),
}


@shared_task
def raise_nasty(name: str) -> None:
    raise NASTIES[name]()


@shared_task(bind=True, max_retries=1)
def retry_for_nasty(self, name: str) -> None:
    self.retry(exc=NASTIES[name](), countdown=0)


@shared_task(bind=True)
def retry_at(self, moment: str) -> None:
    """Ask for a retry at a moment or in a time that cannot be meant."""
    match moment:
        case "naive":
            self.retry(eta=datetime(2030, 1, 1))
        case "text":
            self.retry(countdown="soon")
        case "infinite":
            self.retry(countdown=float("inf"))
        case "far":
            self.retry(eta=datetime(9999, 12, 31, tzinfo=UTC))


@shared_task
def recurse() -> None:
    recurse.run()


@shared_task
def return_object() -> object:
    return object()


@shared_task
def leave_thread(seconds: float) -> None:
    """Leave a thread behind that keeps its process from ending."""
    threading.Thread(target=time.sleep, args=(seconds,)).start()


# Bodies that leave something behind for the next


@shared_task
def leave_behind(what: str) -> None:
    match what:
        case "transaction":
            transaction.atomic().__enter__()
        case "error":
            with transaction.atomic():
                connection.cursor().execute("SELECT nonsense")
        case "autocommit":
            transaction.set_autocommit(False)
            Group.objects.create(name="uncommitted")
        case "closed":
            Group.objects.count()
            connection.close()
        case "closed inside":
            with transaction.atomic():
                Group.objects.create(name="uncommitted")
                connection.close()
        case "killed":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        case "language":
            translation.activate("fr")
        case "time zone":
            timezone.activate("Asia/Tokyo")
        case "variable":
            VARIABLE.set("left behind")


@shared_task
def look_around() -> list[Any]:
    """Return what a body finds."""
    Group.objects.count()
    facts = [connection.in_atomic_block, connection.get_autocommit()]
    return [*facts, translation.get_language(), timezone.get_current_timezone_name(), VARIABLE.get()]


# What the supervisor tells of messages that never ran


if heard := os.environ.get("DJTASKS_TEST_DIARY"):

    @receiver(signals.task_revoked, weak=False)
    def note_revoked(expired: bool, **facts: Any) -> None:
        write(heard, f"revoked {expired}")

    @receiver(signals.task_unknown, weak=False)
    def note_unknown(name: str, **facts: Any) -> None:
        write(heard, f"unknown {name}")

    @receiver(signals.task_failure, weak=False)
    def note_failure(exception: BaseException, **facts: Any) -> None:
        write(heard, f"failed {type(exception).__name__}")
