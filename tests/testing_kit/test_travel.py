"""The time passes for the queue: what is delayed, retried, leased or on a schedule comes due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from djtasks import crontab, shared_task
from djtasks.models import Message, Result, Schedule, Slot
from djtasks.testing import assert_enqueued, drain, travel
from djtasks.testing.inline import InlineWorker
from djtasks.testing.time import MOMENTS
from tests.tasks_api.samples import note, ran, retry_until

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def test_delayed_message_comes_due() -> None:
    for minutes in (1, 61):
        note.apply_async((minutes,), countdown=60 * minutes)
    with travel(HOUR):
        drain()
    assert ran == [1]


def test_moment_may_be_named() -> None:
    moment = timezone.now() + HOUR
    note.apply_async((1,), eta=moment)
    with travel(moment - MINUTE):
        assert drain() == []
        assert_enqueued(note, eta=moment)
        with travel(moment):
            drain()
    assert ran == [1]


def test_retry_comes_due_and_the_next_one_waits_as_long() -> None:
    retry_until.delay(2, countdown=60)
    drain()
    with travel(HOUR):
        assert [each.state for each in drain()] == ["RETRY"]
        with travel(MINUTE):
            assert [each.state for each in drain()] == ["SUCCESS"]


def test_message_expires() -> None:
    """CALL-4."""
    result = note.apply_async((1,), expires=60)
    with travel(HOUR):
        drain()
    assert result.state == "REVOKED" and ran == []


def test_lease_runs_out() -> None:
    shared_task(note.run, name="note", acks_late=True).delay(1)
    assert InlineWorker().reserve()
    assert drain() == []
    with travel(MINUTE):
        drain()
    assert ran == [1]


def test_task_that_has_no_eta_gets_none() -> None:
    @shared_task(bind=True)
    def body(self: Any) -> None:
        ran.append(self.request.eta)

    body.delay()
    with travel(HOUR):
        drain()
    assert ran == [None]


def test_everything_is_as_it_was_afterwards() -> None:
    note.apply_async((1,), countdown=60, expires=3600)
    before = Message.objects.values(*MOMENTS).get()
    with travel(HOUR), travel(HOUR):
        assert Message.objects.get().due_at < timezone.now()
    assert Message.objects.values(*MOMENTS).get() == before


def test_time_does_not_go_back() -> None:
    for to in (-1, -MINUTE, timezone.now() - HOUR):
        with pytest.raises(ValueError, match="in one direction alone"), travel(to):
            pass


def test_journey_that_fails_is_over() -> None:
    moment = timezone.now() + HOUR
    with pytest.raises(ZeroDivisionError), travel(HOUR):
        1 / 0  # noqa: B018
    with travel(moment):
        pass


# Schedules


def hourly(**given: Any) -> Schedule:
    return Schedule.objects.create(
        **{"name": "hourly", "task": note.name, "args": [1], "kind": "interval", "expression": "1h", **given}
    )


def test_schedule_comes_due() -> None:
    hourly()
    with travel(HOUR - MINUTE):
        assert drain() == []
        with travel(2 * MINUTE):
            drain()
    assert ran == [1]


def test_schedule_of_the_code_comes_due_at_its_time_by_the_wall(settings: Any) -> None:
    """BEAT-8."""

    @shared_task(bind=True)
    def body(self: Any) -> None:
        ran.append(self.request.slot)

    entry = {"task": body.name, "schedule": crontab(hour=6, minute=0, tz="UTC")}
    settings.DJTASKS = {"BEAT_SCHEDULE": {"report": entry}}
    tomorrow = (timezone.now() + timedelta(days=1)).date()
    six = datetime(tomorrow.year, tomorrow.month, tomorrow.day, 6, tzinfo=UTC)
    with travel(six + MINUTE):
        drain()
    assert ran == [six]


def test_missed_slots_are_made_up_for_as_their_schedule_says() -> None:
    hourly(missed="all")
    with travel(3 * HOUR + MINUTE):
        drain()
    assert ran == [1, 1, 1]


def test_second_journey_goes_on_where_the_first_is() -> None:
    hourly()
    with travel(HOUR + MINUTE):
        drain()
        with travel(HOUR):
            drain()
    assert ran == [1, 1] and Slot.objects.count() == 2


def test_schedules_may_stay_at_home() -> None:
    hourly()
    with travel(2 * HOUR, beat=False):
        assert drain() == []


@pytest.mark.postgres
def test_transaction_of_the_test_may_idle_after_a_journey() -> None:
    hourly()
    with travel(2 * HOUR), connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.django_db(transaction=True)
def test_committed_messages_come_due() -> None:
    note.apply_async((1,), countdown=60)
    hourly()
    with travel(HOUR + MINUTE):
        drain()
    assert ran == [1, 1] and Result.objects.count() == 2
