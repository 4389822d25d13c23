"""Schedules that are declared in code are brought into the table when a beat begins."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from django.db import connections

from djtasks import clocked, every
from djtasks.beat.declared import synchronise
from djtasks.beat.running import Beat
from djtasks.beat.tick import tick
from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.models import Message, Schedule
from tests.beat.sentences import HOUR, change_by_sql, close, let_come_due, made, now, row, utc
from tests.broker.locks import locked_until_refused

pytestmark = pytest.mark.usefixtures("nothing_declared")
SUM = {"task": "tests.tasks.add", "schedule": 3600, "args": (1, 2)}


def declare(settings: Any, **entries: Any) -> None:
    settings.DJTASKS = {"BEAT_SCHEDULE": entries}
    synchronise()


def test_declared_schedule_is_made(transactional_db: None, settings: Any) -> None:
    """BEAT-8."""
    declare(settings, sums={**SUM, "options": {"queue": "sums"}, "missed": "all"})
    schedule = row("sums")
    assert (schedule.task, schedule.args, schedule.queue) == ("tests.tasks.add", [1, 2], "sums")
    assert (schedule.source, schedule.kind, schedule.expression, schedule.missed) == (
        "settings",
        "interval",
        "1h",
        "all",
    )


def test_declaring_that_was_undone_for_another_is_done_again(transactional_db: None, settings: Any) -> None:
    """C22"""
    with locked_until_refused(shared_vendor()) as refused:
        declare(settings, sums=SUM)
    assert refused and row("sums").source == "settings"


def test_unchanged_one_keeps_its_next_run(transactional_db: None, settings: Any) -> None:
    """What was missed while no beat ran is made up for."""
    declare(settings, sums=SUM)
    vendor = private_vendor()
    tick(vendor)
    let_come_due()
    before = row("sums").next_run_at
    synchronise()
    assert row("sums").next_run_at == before
    assert tick(vendor) == 1
    vendor.connection.close()


def test_changed_one_is_changed(transactional_db: None, settings: Any) -> None:
    """BEAT-8: and counts from now where it is its rule that has changed."""
    declare(settings, sums=SUM)
    since = row("sums").since
    declare(settings, sums={**SUM, "args": (3, 4)})
    assert (row("sums").args, row("sums").since) == ([3, 4], since)
    declare(settings, sums={**SUM, "schedule": 7200})
    assert row("sums").expression == "2h" and row("sums").since > since


def test_what_is_declared_no_more_is_gone(transactional_db: None, settings: Any) -> None:
    """BEAT-8."""
    made("by hand", kind="interval", expression="1h")
    declare(settings, sums=SUM, more=SUM)
    declare(settings, sums=SUM)
    assert set(Schedule.objects.values_list("name", flat=True)) == {"by hand", "sums"}


def test_people_say_whether_it_is_enabled(transactional_db: None, settings: Any) -> None:
    declare(settings, sums={**SUM, "enabled": False})
    assert not row("sums").enabled
    Schedule.objects.update(enabled=True)
    declare(settings, sums={**SUM, "enabled": False, "args": (5, 6)})
    assert row("sums").enabled and row("sums").args == [5, 6]


def test_what_has_ended_begins_anew_with_another_rule(vendor: Vendor, settings: Any) -> None:
    """What a person has disabled stays disabled."""
    over, still = clocked(utc(2001, 1, 1)), every(hours=2)
    declare(settings, sums={**SUM, "schedule": over}, more=SUM)
    Schedule.objects.filter(name="more").update(enabled=False)
    assert tick(vendor) == 0 and not row("sums").enabled
    declare(settings, sums={**SUM, "schedule": over, "args": (3, 4)}, more=SUM)
    assert not row("sums").enabled
    declare(settings, sums={**SUM, "schedule": still}, more={**SUM, "schedule": still})
    assert (row("sums").enabled, row("more").enabled) == (True, False)
    assert tick(vendor) == 0 and close(row("sums").next_run_at, now() + 2 * HOUR)


def test_what_people_have_made_is_left_alone(
    transactional_db: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made("sums", kind="interval", expression="5h")
    with caplog.at_level(logging.ERROR, logger="djtasks"):
        declare(settings, sums=SUM)
    assert row("sums").expression == "5h" and "'sums' was made by hand" in caplog.text


@pytest.mark.parametrize("fault", [{"args": (object(),)}, {"kwargs": {1: 2}}, {"missed_limit": 10**30}], ids=list)
def test_one_that_cannot_be_kept_harms_no_other(
    transactional_db: None, settings: Any, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    """D10."""
    with caplog.at_level(logging.ERROR, logger="djtasks"):
        declare(settings, broken={**SUM, **fault}, sums=SUM)
    assert [schedule.name for schedule in Schedule.objects.all()] == ["sums"]
    assert "'broken' is declared, and cannot be kept" in caplog.text


def test_beats_that_begin_at_the_same_moment_do_not_trip_over_each_other(transactional_db: None, settings: Any) -> None:
    settings.DJTASKS = {"BEAT_SCHEDULE": {f"schedule {number}": SUM for number in range(20)}}
    errors: list[BaseException] = []

    def begin() -> None:
        try:
            synchronise()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and Schedule.objects.count() == 20


def test_others_may_write_while_a_beat_begins(transactional_db: None, settings: Any) -> None:
    """SQLite's usual transactions cannot turn to writing once another connection has written."""
    usual = connections["default"]
    if usual.vendor != "sqlite":
        pytest.skip("needs SQLite")
    made("gone", kind="interval", expression="1h", source="settings")
    settings.DJTASKS = {"BEAT_SCHEDULE": {"sums": SUM}}
    connections["default"] = deferred = usual.copy()
    deferred.settings_dict = {**usual.settings_dict, "OPTIONS": {"timeout": 20}}

    def interfere(execute: Any, statement: str, *others: Any) -> Any:
        answer = execute(statement, *others)
        if statement.startswith("SELECT") and not writer.ident:
            writer.start()
            writer.join(timeout=0.2)
        return answer

    def write() -> None:
        made("by hand", kind="interval", expression="1h")
        connections["default"].close()

    writer = threading.Thread(target=write)
    try:
        with deferred.execute_wrapper(interfere):
            synchronise()
    finally:
        deferred.close()
        connections["default"] = usual
    writer.join()
    assert set(Schedule.objects.values_list("name", flat=True)) == {"by hand", "sums"}


def test_arguments_are_made_when_it_is_sent(vendor: Vendor, settings: Any) -> None:
    """BEAT-9."""
    numbers = iter((10, 20, 30))
    declare(settings, sums={**SUM, "args": (1, lambda: next(numbers))})
    Schedule.objects.update(planned=row("sums").plan)
    for _ in range(2):
        let_come_due(ago=1)
        assert tick(vendor) == 1
    assert sorted(message.args for message in Message.objects.all()) == [[1, 10], [1, 20]]


def test_query_that_fails_while_they_are_made_harms_no_other(vendor: Vendor, settings: Any) -> None:
    """BEAT-9, D10."""

    def repeated() -> None:
        made("sums", kind="interval", expression="1h")

    declare(settings, broken={**SUM, "args": (1, repeated)}, sums=SUM)
    tick(vendor), let_come_due()
    assert tick(vendor) == 1
    assert "IntegrityError" in row("broken").error and (row("broken").runs, row("sums").runs) == (0, 1)


def test_process_that_does_not_know_how_to_make_them_says_so(vendor: Vendor, settings: Any) -> None:
    """D10."""
    declare(settings, sums={**SUM, "args": lambda: (1, 2)})
    change_by_sql("sums", source="", planned=row("sums").plan)
    settings.DJTASKS = {}
    let_come_due()
    assert tick(vendor) == 0
    assert "code that this process does not have" in row("sums").error


def test_once_brings_them_too(transactional_db: None, settings: Any) -> None:
    settings.DJTASKS = {"BEAT_SCHEDULE": {"sums": SUM}}
    assert Beat("once").run_once() == 0
    assert row("sums").next_run_at
