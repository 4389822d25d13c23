"""What every pool does: one suite for all of them, with real bodies and without a database."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import Failure, Success
from djtasks.worker.execution import Holder
from djtasks.worker.pools import make_pool
from djtasks.worker.pools.base import Ended, Event, Lost, Pool, Returned
from tests.helpers import Diary, is_running, on_one_database, reservation, wait_until
from tests.tasks import add, fail, hog, hold, note, note_hooked, note_when_stopping, perish

pytestmark = on_one_database
WITH_CHILDREN = ["processes", "threads", "eventloop"]
ALL = [*WITH_CHILDREN, "solo"]


class Bench:
    """A pool at work, and all that it has said."""

    def __init__(self, name: str, **limits: int | None) -> None:
        given = {"max_tasks_per_child": None, "max_memory_per_child": None, **limits}
        self.name = name
        self.pool: Pool = make_pool(name, 2, Holder("00000000-0000-0000-0000-000000000001", "bench"), **given)
        self.events: list[Event] = []
        self.pool.start()
        self.until(lambda: self.pool.idle() == self.pool.slots)

    def until(self, fact: Callable[[], object]) -> None:
        """Let the pool work until something is so."""
        wait_until(lambda: self.events.extend(self.pool.wait(0.05)) or fact(), what=self.events)

    def has_ended(self, *messages: Reservation) -> bool:
        return {message.token for message in messages} <= self.ends.keys()

    @property
    def ends(self) -> dict[Token, Ended]:
        return {event.token: event for event in self.events if isinstance(event, Ended)}

    def run(self, *messages: Reservation) -> list[Ended]:
        """Submit messages and wait for their ends."""
        self.pool.submit(messages, depth=len(messages))
        self.until(lambda: self.has_ended(*messages))
        return [self.ends[message.token] for message in messages]

    def said(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    pids = made.pool.pids()
    made.pool.close()
    assert not any(map(is_running, pids))


all_pools = pytest.mark.parametrize("bench", ALL, indirect=True)
pools_with_children = pytest.mark.parametrize("bench", WITH_CHILDREN, indirect=True)


@all_pools
def test_bodies_run_and_tell_how_they_ended(bench: Bench) -> None:
    good, bad, unknown = bench.run(
        reservation(add, 2, 3), reservation(fail, "no"), reservation("tests.tasks.nobody_knows")
    )
    assert good.outcome == Success("5")
    assert isinstance(bad.outcome, Failure) and '"builtins.ValueError"' in bad.outcome.error
    assert isinstance(unknown.outcome, Failure) and "NotRegistered" in unknown.outcome.error
    assert good.started_at is not None and good.seconds >= 0 and not good.waits


@all_pools
def test_room_is_what_is_not_taken(bench: Bench, diary: Diary) -> None:
    slots = bench.pool.slots
    assert (bench.pool.idle(), bench.pool.room(1), bench.pool.room(3)) == (slots, slots, 3 * slots)
    diary.open_gate()
    bench.pool.submit([reservation(hold, diary.path, "body", diary.gate)], 3)
    assert (bench.pool.idle(), bench.pool.room(3)) == (slots - 1, 3 * slots - 1)
    bench.until(lambda: bench.pool.idle() == slots)


@all_pools
def test_what_has_not_begun_comes_back(bench: Bench, diary: Diary) -> None:
    running = [reservation(hold, diary.path, "running", diary.gate) for _ in range(bench.pool.slots)]
    behind = [reservation(note, diary.path, "behind") for _ in range(bench.pool.slots)]
    if bench.name == "solo":
        running = []
    bench.pool.submit(running + behind, 2)
    if running:
        diary.until("running", len(running))
    bench.pool.recall()
    bench.until(lambda: sum(len(event.tokens) for event in bench.said(Returned)) == len(behind))
    assert {token for event in bench.said(Returned) for token in event.tokens} == {each.token for each in behind}
    diary.open_gate()
    bench.until(lambda: bench.has_ended(*running))
    bench.run(reservation(add, 1, 1))
    assert diary.counts()["behind"] == 0


@all_pools
def test_wait_ends_when_it_is_woken(bench: Bench) -> None:
    bench.pool.wait(0)
    timer = threading.Timer(0.05, bench.pool.alarm.ring)
    timer.start()
    finished = threading.Event()
    threading.Timer(15, finished.set).start()
    bench.pool.wait(30)
    assert not finished.is_set()


@all_pools
def test_hooks_wait_for_the_settlement(bench: Bench, diary: Diary) -> None:
    written, refused = reservation(note_hooked, diary.path, "written"), reservation(note_hooked, diary.path, "refused")
    for message in (written, refused):
        (end,) = bench.run(message)
        assert end.waits and bench.pool.idle() == bench.pool.slots - 1
        bench.pool.settled(message.token, message is written)
        bench.until(lambda: bench.pool.idle() == bench.pool.slots)
    assert diary.counts() == {"written": 1, "written on_success": 1, "refused": 1}


@pools_with_children
def test_close_tells_what_had_ended(bench: Bench, diary: Diary) -> None:
    """F4: a body that has ended is not run again because its worker stopped a moment later."""
    message = reservation(hold, diary.path, "ended", diary.gate)
    running = reservation(hold, diary.path, "running", f"{diary.gate} that stays closed")
    bench.pool.submit([message, running])
    diary.until("ended"), diary.until("running")
    diary.open_gate()
    diary.until("ended ended")
    # The body's last word is written down before the outcome is on its way.
    wait_until(lambda: bench.pool._children._selector.select(0) or not is_running(os.getpid()))
    assert [event.token for event in bench.pool.close()] == [message.token]


@all_pools
def test_bodies_hear_that_the_worker_is_stopping(bench: Bench, diary: Diary) -> None:
    message = reservation(note_when_stopping, diary.path, "body")
    bench.pool.submit([message])
    if bench.name != "solo":
        diary.until("body")
    bench.pool.warn()
    bench.until(lambda: bench.has_ended(message))
    assert diary.has("body was told")


@pools_with_children
def test_death_of_a_process_tells_what_died_with_it(bench: Bench, diary: Diary) -> None:
    running = [reservation(hold, diary.path, "running", diary.gate) for _ in range(2)]
    behind = [reservation(note, diary.path, "behind") for _ in range(2)]
    bench.pool.submit(running + behind, 2)
    diary.until("running", 2)
    for pid in bench.pool.pids():
        os.kill(pid, signal.SIGKILL)
    expected = ({each.token for each in running}, {each.token for each in behind})
    bench.until(lambda: tokens_of(bench.said(Lost)) == expected)
    assert all("was killed by signal 9" in event.reason for event in bench.said(Lost))
    bench.until(lambda: bench.pool.idle() == 2)
    bench.run(reservation(add, 1, 1))


@pools_with_children
def test_what_no_longer_reaches_a_process_has_not_begun(bench: Bench, diary: Diary) -> None:
    """A2: a process that died while it had nothing to do takes no early message along."""
    for pid in bench.pool.pids():
        os.kill(pid, signal.SIGKILL)
        # Until the last of its threads is gone its socket is open; its exit status is left for the pool.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    messages = [reservation(note, diary.path, "body") for _ in range(2)]
    bench.pool.submit(messages)
    bench.until(lambda: tokens_of(bench.said(Lost)) == (set(), {each.token for each in messages}))
    bench.until(lambda: bench.pool.idle() == 2)
    bench.run(*messages)


def tokens_of(losses: list[Event]) -> tuple[set[Token], set[Token]]:
    return {t for loss in losses for t in loss.suspects}, {t for loss in losses for t in loss.unstarted}


@pools_with_children
def test_suspect_is_alone_in_its_process(bench: Bench, diary: Diary) -> None:
    running = reservation(hold, diary.path, "running", diary.gate)
    bench.pool.submit([running])
    diary.until("running")
    suspect = reservation(perish, diary.path, "suspect", "exit")
    bench.until(lambda: bench.pool.submit_alone(suspect))
    bench.until(lambda: bench.said(Lost))
    assert tokens_of(bench.said(Lost)) == ({suspect.token}, set())
    diary.open_gate()
    bench.until(lambda: bench.has_ended(running))


@pytest.mark.parametrize("bench", ["processes"], indirect=True)
def test_abandoned_body_is_ended(bench: Bench, diary: Diary) -> None:
    message = reservation(hold, diary.path, "abandoned", diary.gate)
    bench.pool.submit([message])
    pid = diary.until("abandoned")
    bench.pool.abandon(message.token)
    bench.until(lambda: not is_running(pid) and bench.pool.idle() == 2)


@pools_with_children
def test_nobody_waits_for_a_process_that_does_not_read(bench: Bench, diary: Diary) -> None:
    """A3, A6: a body holds the interpreter of its process while more is sent to it than the socket takes."""
    hogging = [reservation(hog, diary.path, "hog", 3) for _ in bench.pool.pids()]
    bench.pool.submit(hogging)
    diary.until("hog", len(hogging))
    behind = [reservation(add, "x" * 1_000_000, "y") for _ in range(4)]
    bench.pool.submit(behind, 3)
    assert "hog ended" not in diary.counts()
    bench.until(lambda: bench.has_ended(*hogging, *behind))
    assert all(isinstance(bench.ends[message.token].outcome, Success) for message in behind)


@pytest.mark.parametrize(
    ("name", "limit", "count", "processes"),
    [
        ("processes", "max_tasks_per_child", 3, 3),
        ("threads", "max_tasks_per_child", 3, 3),
        ("eventloop", "max_tasks_per_child", 3, 3),
        ("eventloop", "max_memory_per_child", 1, 2),
        ("processes", "max_memory_per_child", 1, 3),
    ],
)
def test_worn_process_is_replaced_and_nothing_is_dropped(
    diary: Diary, name: str, limit: str, count: int, processes: int
) -> None:
    """A13, WORK-2: also where it has been given more than it has begun."""
    bench = Bench(name, **{limit: count})
    messages = [reservation(note, diary.path, "body") for _ in range(8)]
    waiting = list(messages)

    def all_ran() -> bool:
        for event in bench.said(Returned):
            back = set(event.tokens)
            waiting.extend(message for message in messages if message.token in back)
            bench.events.remove(event)
        room = bench.pool.room(2)
        bench.pool.submit(waiting[:room], 2)
        del waiting[:room]
        return bench.has_ended(*messages)

    bench.until(all_ran)
    assert diary.counts() == {"body": 8}
    assert len({pid for _, pid in diary.lines()}) >= processes
    bench.until(lambda: bench.pool.idle() > 0 and len(bench.pool.pids()) == (2 if name == "processes" else 1))
    bench.pool.close()
