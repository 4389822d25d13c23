"""How far the end of a worker goes with each signal: WORK-6 to WORK-8."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from djtasks.worker.pools.alarm import Alarm
from djtasks.worker.shutdown import Shutdown, Stage
from tests.helpers import wait_until

TERM, QUIT, INT = signal.SIGTERM, signal.SIGQUIT, signal.SIGINT
WARM, SOFT, COLD, HARD = Stage.WARM, Stage.SOFT, Stage.COLD, Stage.HARD
Make = Callable[..., Shutdown]


@pytest.fixture
def hearing() -> Iterator[Make]:
    """Makes what hears the signals of this very process."""
    alarm = Alarm()
    restores = []

    def make(soft: float = 0.0, grace: float = 60.0) -> Shutdown:
        made = Shutdown(alarm, grace=grace, soft_seconds=soft)
        restores.append(made.hear())
        return made

    yield make
    for restore in reversed(restores):
        restore()
    alarm.close()


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("soft", "signals", "stages"),
    [
        (0, [TERM, TERM, TERM], [WARM, COLD, COLD]),
        (0, [INT, INT, INT, INT], [WARM, COLD, HARD, HARD]),
        (9, [INT, INT, INT, INT], [WARM, SOFT, COLD, HARD]),
        (0, [QUIT, QUIT], [COLD, HARD]),
        (9, [QUIT, QUIT, QUIT], [SOFT, COLD, HARD]),
        (9, [TERM, TERM, TERM, TERM], [WARM, SOFT, COLD, COLD]),
        (0, [TERM, QUIT], [WARM, COLD]),
        (9, [TERM, QUIT], [WARM, SOFT]),
        (0, [QUIT, TERM], [COLD, COLD]),
    ],
)
def test_each_signal_goes_further(hearing: Make, soft: float, signals: list[int], stages: list[Stage]) -> None:
    """WORK-6, WORK-7: TERM is warm, QUIT is cold, INT walks through all."""
    shutdown = hearing(soft)
    seen = []
    for number in signals:
        send(number)
        seen.append(shutdown.stage)
    assert seen == stages


def test_term_can_be_made_to_mean_quit(hearing: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """WORK-6: REMAP_SIGTERM=SIGQUIT, for platforms that can send TERM alone."""
    monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")
    shutdown = hearing()
    send(TERM)
    assert shutdown.stage is COLD


@pytest.mark.parametrize(("number", "soft", "grace"), [(TERM, 0.0, 0.05), (QUIT, 0.05, 60.0)])
def test_stage_ends_when_its_time_is_over(hearing: Make, number: int, soft: float, grace: float) -> None:
    """WORK-7: after the grace, or the soft timeout, it is cold."""
    shutdown = hearing(soft, grace)
    assert not shutdown.proceed() and shutdown.rest() == float("inf")
    send(number)
    assert shutdown.proceed() and shutdown.stage < COLD and shutdown.rest() <= 0.05
    wait_until(lambda: shutdown.proceed() and shutdown.stage is COLD)
    assert not shutdown.proceed()


def test_end_can_be_asked_for_from_any_thread(hearing: Make) -> None:
    shutdown = hearing()
    thread = threading.Thread(target=shutdown.ask)
    thread.start()
    thread.join()
    assert shutdown.stage is WARM
    shutdown.ask(COLD), shutdown.ask(WARM)
    assert shutdown.stage is COLD


def test_stacks_can_be_seen(hearing: Make, capfd: pytest.CaptureFixture[str]) -> None:
    """WORK-6: USR1 dumps what every thread is doing, for who wonders at three in the morning."""
    hearing()
    send(signal.SIGUSR1)
    assert "test_stacks_can_be_seen" in capfd.readouterr().err
