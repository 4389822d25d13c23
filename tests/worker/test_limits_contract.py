"""How each pool interrupts, ends and replaces what runs in it; with real bodies and without a database."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from djtasks.domain.outcomes import Failure, Success
from djtasks.worker.pools import process
from djtasks.worker.pools.base import Lost
from tests.helpers import Diary, is_running, on_one_database, reservation, wait_until
from tests.tasks import (
    add,
    ahold,
    ahold_on,
    ahold_tidily,
    block,
    hog,
    hold,
    hold_on,
    hold_tidily,
    sleep,
)
from tests.worker.test_contract import Bench, bench, pools_with_children, tokens_of

__all__ = ["bench"]
pytestmark = on_one_database
CLOSED = "a gate that stays closed"


def is_soft(outcome: object) -> bool:
    return isinstance(outcome, Failure) and "SoftTimeLimitExceeded" in outcome.error


def interrupt(bench: Bench, diary: Diary, word: str, *messages: Any) -> None:
    """Interrupt bodies once they have written down that they run; solo runs them meanwhile."""

    def when_running() -> None:
        diary.until(word, len(messages))
        for message in messages:
            bench.pool.interrupt(message.token)

    if bench.pool.runs_here:
        threading.Thread(target=when_running).start()
    else:
        when_running()
    bench.until(lambda: bench.has_ended(*messages))


def pools_with_tasks(*pairs: tuple[str, Any]) -> Any:
    return pytest.mark.parametrize(("bench", "task"), pairs, indirect=["bench"])


@pools_with_tasks(
    ("processes", hold),
    ("processes", ahold),
    ("threads", hold),
    ("eventloop", hold),
    ("eventloop", ahold),
    ("solo", hold),
)
def test_soft_limit_is_raised_in_the_body(bench: Bench, diary: Diary, task: Any) -> None:
    """WORK-3: and the next body in that slot hears nothing of it."""
    messages = [reservation(task, diary.path, "body", CLOSED) for _ in range(bench.pool.slots)]
    bench.pool.submit(messages)
    interrupt(bench, diary, "body", *messages)
    assert all(is_soft(bench.ends[message.token].outcome) for message in messages)
    assert bench.run(reservation(add, 1, 2))[0].outcome == Success("3")


@pools_with_tasks(
    ("processes", hold_tidily), ("threads", ahold_tidily), ("eventloop", ahold_tidily), ("solo", hold_tidily)
)
def test_soft_limit_can_be_caught(bench: Bench, diary: Diary, task: Any) -> None:
    """WORK-3: the task may succeed all the same."""
    message = reservation(task, diary.path, "body")
    bench.pool.submit([message])
    interrupt(bench, diary, "body", message)
    assert bench.ends[message.token].outcome == Success('"tidied up"')


@pytest.mark.parametrize("bench", ["processes", "solo"], indirect=True)
def test_soft_limit_ends_a_call_that_blocks(bench: Bench, diary: Diary) -> None:
    """WORK-3: in a main thread it is a signal."""
    message = reservation(sleep, 60)
    bench.pool.submit([message])

    def when_running() -> None:
        wait_until(lambda: message.token in bench.pool.begun())
        bench.pool.interrupt(message.token)

    if bench.pool.runs_here:
        threading.Thread(target=when_running).start()
    else:
        bench.pool.interrupt(message.token)
    bench.until(lambda: bench.has_ended(message))
    assert is_soft(bench.ends[message.token].outcome)


@pools_with_children
def test_interruption_never_hits_another_body(bench: Bench) -> None:
    """WORK-3: whenever it comes, also before the first line, after the last one, and between two runs."""
    messages = [reservation(sleep, 0.001 * (number % 3)) for number in range(150)]
    for message in messages:
        bench.pool.submit([message])
        bench.events += bench.pool.wait(0.001 * (hash(message.id) % 3))
        bench.pool.interrupt(message.token)
        bench.until(lambda message=message: bench.has_ended(message) or bench.pool.idle())  # type: ignore[misc]
    bench.until(lambda: bench.has_ended(*messages))
    assert not bench.said(Lost)
    ends = [bench.ends[message.token].outcome for message in messages]
    assert all(isinstance(end, Success) or is_soft(end) for end in ends) and any(map(is_soft, ends))
    others = [reservation(add, 1, number) for number in range(20)]
    assert [end.outcome for end in bench.run(*others)] == [Success(str(1 + number)) for number in range(20)]


@pools_with_children
def test_pool_knows_since_when_a_body_runs(bench: Bench, diary: Diary) -> None:
    first, second = (reservation(hold, diary.path, word, diary.gate) for word in ("first", "second"))
    behind = reservation(hold, diary.path, "behind", CLOSED)
    before = time.monotonic()
    bench.pool.submit([first, second])
    bench.pool.submit([behind], 2)
    begun = bench.pool.begun()
    assert begun.keys() == {first.token, second.token}
    assert all(before <= since <= time.monotonic() for since in begun.values())
    after = time.monotonic()
    diary.open_gate()
    bench.until(lambda: bench.has_ended(first, second))
    assert bench.pool.begun().keys() == {behind.token} and bench.pool.begun()[behind.token] >= after


@pytest.mark.parametrize(
    ("bench", "task", "signal"),
    [
        ("processes", hold, "SIGKILL"),
        ("processes", hold, "TERM"),
        ("threads", hold, "SIGKILL"),
        ("eventloop", hold, "SIGKILL"),
        ("eventloop", ahold, "SIGKILL"),
    ],
    indirect=["bench"],
)
def test_terminated_run_is_ended_and_nothing_more_is_said_of_it(
    bench: Bench, diary: Diary, task: Any, signal: str
) -> None:
    """B6, WORK-3: its neighbour goes on, and its slot is free again."""
    message, neighbour = reservation(task, diary.path, "body", CLOSED), reservation(hold, diary.path, "n", diary.gate)
    bench.pool.submit([message, neighbour])
    pid = diary.until("body")
    diary.until("n")
    bench.pool.terminate(message.token, signal)
    assert message.token not in bench.pool.begun()
    bench.until(lambda: bench.pool.idle() == 1)
    assert bench.run(reservation(add, 1, 2))[0].outcome == Success("3")
    diary.open_gate()
    bench.until(lambda: bench.has_ended(neighbour))
    if bench.name == "processes":
        bench.until(lambda: not is_running(pid))
    assert message.token not in bench.ends and not bench.said(Lost)
    assert "body ended" not in diary.counts()


@pools_with_tasks(("threads", hold_on), ("eventloop", hold_on), ("eventloop", ahold_on))
def test_abandoned_run_keeps_no_slot_and_its_late_end_is_dropped(bench: Bench, diary: Diary, task: Any) -> None:
    """B6, WORK-3: whatever is raised in it, it runs on."""
    for word in ("first", "second", "third"):
        message = reservation(task, diary.path, word, diary.gate)
        bench.pool.submit([message])
        diary.until(word)
        bench.pool.terminate(message.token)
        bench.until(lambda: bench.pool.idle() == 2)
    last = reservation(task, diary.path, "last", diary.gate)
    bench.pool.submit([last])
    diary.open_gate()
    bench.until(lambda: bench.has_ended(last))
    bench.run(reservation(add, 1, 2), reservation(add, 1, 2))
    assert len(bench.ends) == 3 and not bench.said(Lost)


@pools_with_tasks(("threads", hog), ("eventloop", block))
def test_child_that_does_not_react_is_killed(
    bench: Bench, diary: Diary, task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A7: a body that holds the interpreter, or the event loop; its neighbours are lost."""
    monkeypatch.setattr(process, "REACTION_SECONDS", 0.5)
    neighbour, message = reservation(hold, diary.path, "n", CLOSED), reservation(task, diary.path, "body", 60)
    bench.pool.submit([neighbour])
    diary.until("n")
    bench.pool.submit([message])
    pid = diary.until("body")
    bench.pool.terminate(message.token)
    bench.until(lambda: tokens_of(bench.said(Lost)) == ({neighbour.token}, set()))
    assert not is_running(pid)
    bench.until(lambda: bench.pool.idle() == 2)
    assert bench.run(reservation(add, 1, 2))[0].outcome == Success("3")


@pools_with_children
def test_pool_grows_and_shrinks_and_ends_no_body(bench: Bench, diary: Diary) -> None:
    """WORK-5."""
    bench.pool.resize(4)
    bench.until(lambda: bench.pool.idle() == 4)
    messages = [reservation(hold, diary.path, "body", diary.gate) for _ in range(4)]
    bench.pool.submit(messages)
    diary.until("body", 4)
    bench.pool.resize(1)
    assert bench.pool.slots == 1 and bench.pool.idle() == 0
    diary.open_gate()
    bench.until(lambda: bench.has_ended(*messages) and bench.pool.idle() == 1 and len(bench.pool.pids()) == 1)
    assert all(isinstance(bench.ends[message.token].outcome, Success) for message in messages)
    bench.run(reservation(add, 1, 1), reservation(add, 1, 1))


@pools_with_children
def test_restarted_pool_has_new_processes_and_drops_nothing(bench: Bench, diary: Diary) -> None:
    before = bench.pool.pids()
    running = reservation(hold, diary.path, "running", diary.gate)
    bench.pool.submit([running])
    pid = diary.until("running")
    bench.pool.restart()
    bench.until(lambda: bench.pool.idle() == 2)
    bench.run(reservation(add, 1, 1))
    assert is_running(pid)
    diary.open_gate()
    bench.until(lambda: bench.has_ended(running))
    bench.until(lambda: not set(before) & set(bench.pool.pids()))
    assert not bench.said(Lost)


def test_solo_pool_cannot_end_a_body_nor_grow() -> None:
    bench = Bench("solo")
    assert not bench.pool.can_terminate
    for impossible in (lambda: bench.pool.resize(2), bench.pool.restart):
        with pytest.raises(ValueError, match="this pool"):
            impossible()
    bench.pool.close()
