"""Sample tasks for tests that need a worker in a process of its own.

A ``diary`` is a file to which a body appends the words that it was given, and its process; see ``helpers.Diary``.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import threading
import time
from contextlib import nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.dispatch import receiver
from django.utils import timezone, translation

from djtasks import Task, get_task_logger, shared_task, signals
from djtasks.exceptions import SoftTimeLimitExceeded
from djtasks.models import Message

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


@shared_task(bind=True)
def note_slot(self, diary: str) -> str:
    """Write down for which slot of which schedule this runs."""
    write(diary, f"{self.request.schedule}")
    return self.request.slot.isoformat()


@shared_task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@shared_task(bind=True, default_retry_delay=0)
def fail_twice(self) -> int:
    if self.request.retries < 2:
        self.retry(exc=ValueError("again"))
    return self.request.retries


@shared_task(bind=True, autoretry_for=(ValueError,), retry_backoff=4)
def fail_again(self) -> int:
    """Fail at first, and back off."""
    if not self.request.retries:
        raise ValueError("at first")
    return int(self.request.retries)


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
    _wait_for(gate)
    write(diary, f"{word} ended")


def _wait_for(gate: str) -> None:
    deadline = time.monotonic() + LONGEST_HOLD
    while not os.path.exists(gate):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{gate} was not opened")
        time.sleep(0.01)


note = shared_task(name="tests.tasks.note")(_note)
note_late = shared_task(name="tests.tasks.note_late", acks_late=True)(_note)
note_limited = shared_task(name="tests.tasks.note_limited", rate_limit="4/s")(_note)
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


# Bodies for time limits


@shared_task
def hold_tidily(diary: str, word: str) -> str:
    """Run until the soft time limit, and tidy up."""
    write(diary, word)
    try:
        _wait_for("a gate that stays closed")
    except SoftTimeLimitExceeded:
        return "tidied up"
    return "was not told"


@shared_task
def hold_on(diary: str, word: str, gate: str) -> None:
    """Run on whatever is raised."""
    while True:
        try:
            write(diary, word)
            _wait_for(gate)
            break
        except BaseException as error:
            write(diary, f"{word} ignores {type(error).__name__}")
    write(diary, f"{word} ended")


@shared_task
async def ahold(diary: str, word: str, gate: str) -> str:
    """Hold on an event loop."""
    write(diary, word)
    while not os.path.exists(gate):
        await asyncio.sleep(0.01)
    write(diary, f"{word} ended")
    return word


@shared_task
async def ahold_tidily(diary: str, word: str) -> str:
    """Await until the soft time limit, and tidy up, which awaits, too."""
    write(diary, word)
    try:
        await asyncio.sleep(LONGEST_HOLD)
    except SoftTimeLimitExceeded:
        await asyncio.sleep(0.01)
        return "tidied up"
    return "was not told"


@shared_task
async def ahold_on(diary: str, word: str, gate: str) -> None:
    """Await on whatever is raised."""
    while not os.path.exists(gate):
        try:
            write(diary, word)
            await asyncio.sleep(0.1)
        except BaseException as error:
            write(diary, f"{word} ignores {type(error).__name__}")


@shared_task
async def block(diary: str, word: str, seconds: float) -> None:
    """Hold up the event loop."""
    write(diary, word)
    time.sleep(seconds)


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


class Counting(Task):
    """Uses the database in its hooks, which are no coroutines."""

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        write(args[0], f"before {Group.objects.count()}")

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        write(args[0], f"after {Group.objects.count()}")


@shared_task(base=Counting, bind=True, acks_late=True)
async def acount(self, diary: str) -> list[Any]:
    """Use the database as a coroutine does; return what it finds, and the thread in which Django works for it."""
    found = [translation.get_language(), VARIABLE.get()]
    translation.activate("fr")
    VARIABLE.set("left behind")
    await Group.objects.acreate(name=self.request.id)
    await asyncio.sleep(0.05)
    return [*found, await sync_to_async(threading.get_ident)()]


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
        case "autocommit, and sends":
            transaction.set_autocommit(False)
            add.delay(1, 2)
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
def count_frozen() -> int:
    """Return how many objects the garbage collector does not look at."""
    return gc.get_freeze_count()


@shared_task
def look_around() -> list[Any]:
    """Return what a body finds."""
    Group.objects.count()
    facts = [connection.in_atomic_block, connection.get_autocommit()]
    return [*facts, translation.get_language(), timezone.get_current_timezone_name(), VARIABLE.get()]


@shared_task
def add_group(name: str) -> None:
    Group.objects.create(name=name)


@shared_task
async def look_around_async(what: str) -> list[Any]:
    """Leave something behind in a coroutine, or return what it finds."""
    await Group.objects.acount()
    match what:
        case "look":
            return list(await sync_to_async(look_around.run)())
        case "block":
            return [Group.objects.count()]
        case "transaction":
            await sync_to_async(leave_behind.run)(what)
        case _:
            leave_behind.run(what)
    return []


# Bodies that tell how far they are, and what they do


@shared_task(bind=True)
def tell_progress(self, diary: str, gate: str, times: int, locking: bool = False) -> str:
    """Tell it many times, then hold; perhaps in a transaction that has locked the row of the message itself."""
    with transaction.atomic() if locking else nullcontext():
        if locking:
            list(Message.objects.select_for_update().filter(pk=self.request.id))
        for done in range(1, times + 1):
            self.progress(done, times, "counting")
        _hold(diary, "told", gate)
    return "done"


@shared_task(bind=True)
def say(self, *words: str) -> None:
    """Log the words, by a logger of the task's own and by one of a library; then write to the diary that is told."""
    get_task_logger(__name__).info("own %s", " ".join(words))
    logging.getLogger("some.library").warning("library %s", " ".join(words))


# A module that a test writes and changes


if changing := os.environ.get("DJTASKS_TEST_MODULE"):
    import_module(changing)


# What listeners hear of, in the supervisor and in the processes of its pool


if heard := os.environ.get("DJTASKS_TEST_DIARY"):
    for name in os.environ.get("DJTASKS_TEST_SIGNALS", "").split():

        def note_signal(sender: Any, signal: Any, its_name: str = name, **facts: Any) -> None:
            write(heard, " ".join([its_name, *sorted(facts)]))

        getattr(signals, name).connect(note_signal, weak=False)

    @receiver(signals.task_revoked, weak=False)
    def note_revoked(expired: bool, **facts: Any) -> None:
        write(heard, f"revoked {expired}")

    @receiver(signals.task_unknown, weak=False)
    def note_unknown(name: str, **facts: Any) -> None:
        write(heard, f"unknown {name}")

    @receiver(signals.task_failure, weak=False)
    def note_failure(exception: BaseException, **facts: Any) -> None:
        write(heard, f"failed {type(exception).__name__}")


# Bodies that run too long, or until they are told


class Mourned(Task):
    """Writes down, wherever its hooks are called, how it failed."""

    def on_failure(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        write(args[0], f"{args[1]} on_failure {type(exc).__name__}")

    def after_return(
        self, status: str, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str | None
    ) -> None:
        write(args[0], f"{args[1]} after_return {status}")


def _outstay(diary: str, word: str, gate: str, catches: bool = False) -> str:
    try:
        _hold(diary, word, gate)
    except SoftTimeLimitExceeded:
        write(diary, f"{word} was interrupted")
        if not catches:
            raise
    return "in time after all"


outstay = shared_task(name="tests.tasks.outstay", base=Mourned)(_outstay)
outstay_late = shared_task(name="tests.tasks.outstay_late", acks_late=True, acks_on_timeout=False)(_outstay)


@shared_task
def deadlock(diary: str, word: str) -> None:
    """Wait for oneself, for ever."""
    write(diary, word)
    lock = threading.Lock()
    with lock, lock:
        raise AssertionError("a lock that is taken twice is none")


@shared_task(bind=True)
def run_until_revoked(self, diary: str, word: str, catches: bool = False) -> str:
    """Run until this run is revoked."""
    write(diary, word)
    deadline = time.monotonic() + LONGEST_HOLD
    while not self.is_revoked() and time.monotonic() < deadline:
        time.sleep(0.01)
    write(diary, f"{word} was told")
    if not catches:
        self.check_revoked()
    return "finished all the same"


@shared_task(acks_late=True, max_deliveries=1000)
def give_late(value: Any) -> Any:
    return value


@shared_task(acks_late=True, max_deliveries=1000)
def collect_late(values: list[Any], diary: str = "", word: str = "") -> list[Any]:
    if diary:
        write(diary, word)
    return values


# Bodies for workflows


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task
def show(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@shared_task(ignore_result=True)
def give_ignored(value: Any) -> Any:
    return value


@shared_task
def tell_error(request: Any, exc: BaseException, traceback: str, diary: str) -> None:
    """An errback of the new style."""
    write(diary, f"{request.id} {request.task} {type(exc).__name__} {exc} {'ValueError' in traceback}")


@shared_task
def tell_id(failed_id: str, *, diary: str) -> None:
    """An errback of the old style."""
    write(diary, f"failed {failed_id}")
