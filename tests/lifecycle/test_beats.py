"""Beats in processes of their own: beside workers, within them, told to stop, killed and stopped in their tracks."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from djtasks.broker.vendors import shared_vendor
from djtasks.models import Beat, Message, Result, Schedule, Slot
from djtasks.models.clock import Now
from tests.helpers import (
    Diary,
    WorkerProcess,
    on_one_database,
    results,
    running_beat,
    running_worker,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


def every_second(name: str = "every second", **given: object) -> Schedule:
    plain = {"name": name, "task": "tests.tasks.add", "args": [1, 2], "kind": "interval", "expression": "1s"}
    return Schedule.objects.create(**{**plain, "missed": "all", "missed_limit": 1000, **given})


def alive(count: int) -> None:
    wait_until(lambda: Beat.objects.count() == count, timeout=60, what=f"{count} beats")


def check_that_no_slot_is_missing(schedule: Schedule) -> None:
    """G7: from the first to the last, and each with a message of its own."""
    slots = list(schedule.slots.order_by("due_at").values_list("due_at", "message"))
    assert slots, f"{schedule} was never due"
    expected = [slots[0][0] + number * SECOND for number in range(len(slots))]
    assert [due_at for due_at, _ in slots] == expected
    assert slots[0][0] == schedule.since + SECOND
    assert len({message for _, message in slots} - {None}) == len(slots)


def test_body_knows_its_slot(diary: Diary) -> None:
    every_second(task="tests.tasks.note_slot", args=[diary.path])
    with running_beat(), running_worker():
        diary.until("every second", 2)
        wait_until(lambda: results().count() >= 2)
    found = dict(Slot.objects.values_list("message", "due_at"))
    for result in Result.objects.all():
        assert datetime.fromisoformat(result.value) == found[result.pk]


@on_one_database
def test_beats_within_workers_send_each_run_once(diary: Diary) -> None:
    """BEAT-1: ``-B`` in as many workers as one likes."""
    schedule = every_second(task="tests.tasks.note_slot", args=[diary.path])
    with running_worker("-B", concurrency=1), running_worker("--beat", concurrency=1) as other:
        alive(2)
        assert Beat.objects.filter(worker__isnull=False).count() == 2
        diary.until("every second", 2)
        assert other.stop() == 0
        alive(1)
        count = schedule.slots.count()
        wait_until(lambda: schedule.slots.count() > count + 1)
    check_that_no_slot_is_missing(schedule)


def test_change_by_sql_takes_effect_without_a_restart(transactional_db: None) -> None:
    """D9."""
    schedule = every_second(expression="1h")
    with running_beat("--max-interval=0.5"):
        wait_until(lambda: Schedule.objects.get().next_run_at)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE djtasks_schedule SET expression = '1s'")
        wait_until(schedule.slots.exists)
        Schedule.objects.update(enabled=False)
        count = Slot.objects.count()
        # What was committed counts at once: beats read the row they lock.
        hourly = every_second("another")
        wait_until(hourly.slots.exists)
        assert Slot.objects.filter(schedule=schedule).count() == count


@on_one_database
def test_change_wakes_a_beat_at_once(transactional_db: None) -> None:
    with running_beat("--max-interval=3600"):
        alive(1)
        schedule = every_second()
        # An hour before the beat would look by itself.
        wait_until(schedule.slots.exists)


def test_beat_that_is_told_to_stop_ends_and_leaves_nothing(transactional_db: None) -> None:
    every_second()
    for number in (signal.SIGTERM, signal.SIGINT):
        with running_beat("-n", "first@%n") as beat:
            alive(1)
            assert Beat.objects.get().pid == beat.pid and Beat.objects.get().name.startswith("first@")
            beat.signal(number)
            assert beat.wait() == 0
            alive(0)


def test_once_sends_what_is_due_and_exits(transactional_db: None, capsys: pytest.CaptureFixture[str]) -> None:
    every_second()
    Schedule.objects.update(since=Now() - timedelta(seconds=3.5))
    call_command("runbeat", "--once")
    assert "sent" in capsys.readouterr().out
    assert Message.objects.count() == Slot.objects.count() == Schedule.objects.get().runs >= 3


@on_one_database
def test_row_that_somebody_edits_holds_up_no_other(transactional_db: None) -> None:
    """D9."""
    edited, other = every_second("edited"), every_second("other")
    with running_beat() as beat:
        wait_until(lambda: edited.slots.exists() and other.slots.exists())
        with transaction.atomic():
            Schedule.objects.select_for_update().get(name="edited")
            counts = edited.slots.count(), other.slots.count()
            wait_until(lambda: other.slots.count() > counts[1] + 2)
            assert edited.slots.count() <= counts[0] + 1
        wait_until(lambda: edited.slots.count() > counts[0] + 2)
        assert "Traceback" not in beat.log
    check_that_no_slot_is_missing(edited)


# Killed, and stopped in their tracks


class Pack:
    """Beats of which one is killed, or stopped for a while, now and then; there are always five."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.beats = [self._start() for _ in range(5)]

    def _start(self) -> WorkerProcess:
        return self._stack.enter_context(running_beat("-l", "warning"))

    def strike(self) -> None:
        place = random.randrange(len(self.beats))
        self.beats[place].kill()
        self.beats[place] = self._start()

    def pause(self) -> WorkerProcess:
        beat = random.choice(self.beats)
        os.kill(beat.pid, signal.SIGSTOP)
        return beat


@pytest.mark.parametrize("seconds", [10, pytest.param(1800, marks=pytest.mark.soak)], ids=["quick", "long"])
def test_slots_sent_are_the_slots_that_were_due(transactional_db: None, seconds: int) -> None:
    """G7, F12, D7, D8: whoever is killed, or stopped and comes back."""
    schedules = [every_second(f"schedule {number}") for number in range(50)]
    with ExitStack() as stack:
        pack = Pack(stack)
        alive(5)
        for until in _moments(seconds, step=2.0):
            pack.strike()
            paused = pack.pause()
            wait_until(lambda until=until: shared_vendor().now() >= until, timeout=60)
            os.kill(paused.pid, signal.SIGCONT)
        end = shared_vendor().now()
        caught_up = Schedule.objects.filter(next_run_at__gt=end)
        wait_until(lambda: caught_up.count() == len(schedules), timeout=60)
    for schedule in schedules:
        check_that_no_slot_is_missing(schedule)
        assert schedule.slots.latest("due_at").due_at > end - SECOND
    assert Message.objects.count() == Slot.objects.count()


def _moments(seconds: float, step: float) -> Iterator[datetime]:
    began_at = shared_vendor().now()
    for number in range(1, int(seconds / step) + 1):
        yield began_at + timedelta(seconds=number * step)
