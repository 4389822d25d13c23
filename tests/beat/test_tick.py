"""Every slot once: in one transaction with its message, whoever else comes at the same moment, whatever breaks off."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection

from djtasks import signals
from djtasks.beat.running import Beat
from djtasks.beat.tick import seconds_until_next, tick
from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.models import Message, Schedule, Slot
from djtasks.models.clock import Now
from tests.beat.conftest import Connect
from tests.beat.sentences import HOUR, change_by_sql, due, let_come_due, made, planned, row, sent, slots
from tests.broker.locks import locked_until_refused
from tests.helpers import wait_until


def test_due_slot_becomes_a_message(vendor: Vendor) -> None:
    schedule = due(vendor)
    assert tick(vendor) == 1
    (slot,), (message,) = slots(), sent()
    assert slot.due_at == schedule.next_run_at and slot.message == message.pk
    after = row()
    assert after.next_run_at == schedule.next_run_at + HOUR
    assert (after.last_run_at, after.runs, after.recent) == (slot.due_at, 1, [str(message.pk)])


def test_slot_is_made_once(vendor: Vendor) -> None:
    """G7."""
    due(vendor)
    assert [tick(vendor) for _ in range(3)] == [1, 0, 0]


def test_row_that_was_set_back_sends_nothing_twice(vendor: Vendor) -> None:
    """D7, D2: a row from a backup, or edited by hand, names a slot that was made."""
    schedule = due(vendor)
    assert tick(vendor) == 1
    Schedule.objects.update(next_run_at=schedule.next_run_at)
    assert tick(vendor) == 0
    assert len(slots()) == 1 and row().next_run_at > schedule.next_run_at


def test_tick_that_was_undone_for_another_is_done_again(transactional_db: None) -> None:
    """C22"""
    vendor = private_vendor()
    schedule = due(vendor)
    with locked_until_refused(vendor) as refused:
        assert tick(vendor) == 1
    (slot,), (message,) = slots(), sent()
    assert refused and slot.message == message.pk and row().next_run_at == schedule.next_run_at + HOUR


def test_beats_at_the_same_moment_share_what_is_due(connect: Connect) -> None:
    """G7, D7."""
    vendors = [connect() for _ in range(4)]
    for number in range(60):
        due(vendors[0], f"schedule {number}")
    made_by: list[int] = []
    threads = [threading.Thread(target=lambda each=each: made_by.append(tick(each))) for each in vendors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(made_by) == 60
    assert Slot.objects.count() == Message.objects.count() == 60


class Cut(Exception):
    """A beat that dies."""


@pytest.mark.parametrize("fatal", range(12))
def test_beat_that_dies_between_two_statements_leaves_all_or_nothing(vendor: Vendor, fatal: int) -> None:
    """D8: a message without its slot, or a slot without its message, cannot be."""
    due(vendor)
    count = 0

    def die(execute: Any, *statement: Any) -> Any:
        nonlocal count
        count += 1
        if count > fatal:
            raise Cut
        return execute(*statement)

    with vendor.connection.execute_wrapper(die):
        try:
            tick(vendor)
        except Cut:
            vendor.connection.close()
    assert Message.objects.count() == Slot.objects.count() == row().runs
    tick(vendor)
    assert Message.objects.count() == Slot.objects.count() == row().runs == 1


def test_more_than_a_batch_is_made_at_once(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """D12."""
    monkeypatch.setattr("djtasks.beat.tick.BATCH", 7)
    for number in range(20):
        due(vendor, f"schedule {number}")
    assert tick(vendor) == 20


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("task", "nobody.knows"),
        ("kwargs", {"nonsense": 1}),
        ("args", "text"),
        ("options", {"no": 1}),
        ("options", {"task_id": "x"}),
    ],
)
def test_schedule_whose_message_cannot_be_made_harms_no_other(vendor: Vendor, column: str, value: Any) -> None:
    """D10: it says what is wrong, its slot is passed over, and the next one is tried."""
    due(vendor, "broken"), due(vendor, "sound")
    change_by_sql("broken", **{column: value})
    assert tick(vendor) == 1
    broken = row("broken")
    assert broken.enabled and broken.error and broken.failed_at and broken.next_run_at > broken.failed_at
    assert [slot.passed_over for slot in slots("broken")] == ["error"]
    assert row("sound").runs == 1 and not row("sound").error
    change_by_sql("broken", task="tests.tasks.add", args=[1, 2], kwargs={}, options={})
    let_come_due("broken", ago=1)
    assert tick(vendor) == 1
    assert row("broken").error == ""


@pytest.mark.postgres
def test_schedule_that_the_database_refuses_harms_no_other(vendor: Vendor) -> None:
    """D10: nobody else's message is lost with it."""
    due(vendor, "broken", queue="refused"), due(vendor, "sound")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE djtasks_message ADD CONSTRAINT no_such_queue CHECK (queue <> 'refused')")
        try:
            assert (tick(vendor), tick(vendor)) == (1, 0)
        finally:
            cursor.execute("ALTER TABLE djtasks_message DROP CONSTRAINT no_such_queue")
    assert row("sound").runs == 1
    assert row("broken").error and row("broken").next_run_at > row("broken").failed_at
    assert [slot.passed_over for slot in slots("broken")] == ["error"]


def test_what_a_project_spoils_when_one_is_sent_harms_no_other(vendor: Vendor) -> None:
    """D10: a receiver whose statement fails leaves a transaction in which nothing can be written any more."""
    due(vendor, "broken", task="tests.tasks.fail", args=[]), due(vendor, "sound")

    def spoil(sender: str, **facts: Any) -> None:
        if sender == "tests.tasks.fail":
            with vendor.connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")

    signals.before_task_publish.connect(spoil)
    try:
        tick(vendor)
    finally:
        signals.before_task_publish.disconnect(spoil)
    assert row("sound").runs == 1 and row("broken").next_run_at > row("sound").last_run_at
    assert tick(vendor) == 0


def test_next_slot_is_told_by_the_clock_of_the_database(vendor: Vendor) -> None:
    assert seconds_until_next(vendor) is None
    planned(vendor)
    Schedule.objects.update(next_run_at=Now() + timedelta(seconds=100))
    assert 60 < seconds_until_next(vendor) <= 100
    let_come_due(ago=50)
    assert -90 < seconds_until_next(vendor) <= -50


def test_once_makes_what_is_due_and_is_done(transactional_db: None) -> None:
    made("yearly", kind="crontab", expression="0 0 1 1 *")
    Schedule.objects.update(since=Now() - timedelta(days=2 * 366))
    assert Beat("once").run_once() == 1
    assert Beat("once").run_once() == 0


@pytest.mark.postgres
def test_beat_that_stops_in_the_middle_is_not_waited_for(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D7, F12: the server ends its transaction, and what it does later counts no more."""
    monkeypatch.setattr("djtasks.beat.tick.IDLE_SECONDS", 0.2)
    stopped, other = private_vendor(), private_vendor()
    due(stopped)
    stops, goes_on = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def stop(**facts: Any) -> None:
        if not stops.is_set():
            stops.set()
            goes_on.wait(30)

    def beat() -> None:
        try:
            tick(stopped)
        except DatabaseError as error:
            errors.append(error)

    signals.before_task_publish.connect(stop)
    try:
        thread = threading.Thread(target=beat)
        thread.start()
        assert stops.wait(10)
        wait_until(lambda: tick(other) == 1)
    finally:
        goes_on.set()
        thread.join()
        signals.before_task_publish.disconnect(stop)
        stopped.connection.close(), other.connection.close()
    assert errors and len(slots()) == len(sent()) == 1
