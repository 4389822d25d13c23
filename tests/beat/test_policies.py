"""What becomes of missed slots, and of a run that goes on when the next is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from djtasks.beat.tick import tick
from djtasks.broker.vendors import Vendor
from djtasks.models import Message, Result
from djtasks.models.clock import Now
from tests.beat.sentences import due, let_come_due, made, moments, row, sent, slots

TEN_HOURS = 36_000.0


def test_missed_runs_become_one(vendor: Vendor) -> None:
    """D6, BEAT-5: the latest, as it is the one that says most."""
    schedule = due(vendor, ago=TEN_HOURS + 60)
    assert tick(vendor) == 1
    assert moments(slots()) == [schedule.next_run_at + timedelta(hours=10)]
    assert row().next_run_at == schedule.next_run_at + timedelta(hours=11)


def test_missed_runs_are_skipped(vendor: Vendor) -> None:
    """D6."""
    schedule = due(vendor, ago=TEN_HOURS + 600, missed="skip")
    assert tick(vendor) == 0
    assert slots() == [] and row().next_run_at == schedule.next_run_at + timedelta(hours=11)


def test_run_that_is_hardly_late_is_not_missed(vendor: Vendor) -> None:
    due(vendor, ago=20, missed="skip")
    assert tick(vendor) == 1


def test_missed_runs_are_all_made(vendor: Vendor) -> None:
    """D6: in their order."""
    schedule = due(vendor, ago=TEN_HOURS + 60, missed="all")
    assert tick(vendor) == 11
    assert moments(slots()) == [schedule.next_run_at + timedelta(hours=each) for each in range(11)]
    options = [Message.objects.get(pk=slot.message).options["slot"] for slot in slots()]
    assert options == [slot.due_at.isoformat() for slot in slots()]


def test_no_more_missed_runs_than_the_limit_are_made(vendor: Vendor) -> None:
    """D6: the latest."""
    schedule = due(vendor, ago=TEN_HOURS + 60, missed="all", missed_limit=3)
    assert tick(vendor) == 3
    assert moments(slots()) == [schedule.next_run_at + timedelta(hours=each) for each in (8, 9, 10)]


@pytest.mark.parametrize(("missed", "count"), [("once", 0), ("all", 2), ("skip", 0)])
def test_run_that_is_too_late_is_not_made(vendor: Vendor, missed: str, count: int) -> None:
    """BEAT-5: the grace of a schedule."""
    due(vendor, ago=TEN_HOURS + 600, missed=missed, grace=300.0 if missed != "all" else 7200.0)
    assert tick(vendor) == count


def test_grace_of_the_settings_counts_where_a_schedule_has_none(vendor: Vendor, settings: Any) -> None:
    """BEAT-5: beat_cron_starting_deadline."""
    settings.DJTASKS = {"BEAT_CRON_STARTING_DEADLINE": 60}
    due(vendor, "usual", ago=600), due(vendor, "patient", ago=600, grace=3600)
    assert tick(vendor) == 1
    assert not slots("usual") and len(slots("patient")) == 1


def test_years_of_missed_minutes_cost_no_more_than_one(vendor: Vendor) -> None:
    """D6, D11."""
    made("minutely", kind="crontab", expression="* * * * *")
    tick(vendor)
    let_come_due("minutely", ago=10 * 365 * 86_400.0)
    assert tick(vendor) == 1


def test_one_off_makes_up_for_one(vendor: Vendor) -> None:
    """BEAT-7."""
    due(vendor, ago=TEN_HOURS, missed="all", one_off=True)
    assert tick(vendor) == 1
    assert not row().enabled


# Overlap


def another_slot(vendor: Vendor) -> int:
    let_come_due(ago=1)
    return tick(vendor)


def receive(message: Message) -> None:
    """Let a worker have the message."""
    Message.objects.filter(pk=message.pk).update(
        deliveries=1, leased_until=Now() + timedelta(hours=1), started_at=Now(), acks_late=True
    )


def test_runs_may_overlap(vendor: Vendor) -> None:
    due(vendor)
    assert (tick(vendor), another_slot(vendor)) == (1, 1)


def test_slot_is_passed_over_while_the_run_before_goes_on(vendor: Vendor) -> None:
    due(vendor, overlap="skip")
    assert (tick(vendor), another_slot(vendor)) == (1, 0)
    assert [slot.passed_over for slot in slots()] == ["", "overlap"]
    Message.objects.all().delete()
    assert another_slot(vendor) == 1


def test_one_run_waits_for_the_one_that_goes_on(vendor: Vendor) -> None:
    due(vendor, overlap="one")
    assert (tick(vendor), another_slot(vendor)) == (1, 0)
    receive(sent()[0])
    assert (another_slot(vendor), another_slot(vendor)) == (1, 0)
    assert [slot.passed_over for slot in slots()] == ["", "overlap", "", "overlap"]


def test_run_before_is_cancelled(vendor: Vendor) -> None:
    """One that waits is gone, one that runs is ended."""
    due(vendor, overlap="cancel")
    assert (tick(vendor), another_slot(vendor)) == (1, 1)
    first, second = (slot.message for slot in slots())
    assert Result.objects.get(pk=first).state == "REVOKED"
    receive(Message.objects.get(pk=second))
    assert another_slot(vendor) == 1
    running = Message.objects.get(pk=second)
    assert running.revoked_at and running.terminate == "SIGTERM"


@pytest.mark.parametrize("overlap", ["skip", "one", "cancel"])
def test_missed_runs_overlap_with_each_other(vendor: Vendor, overlap: str) -> None:
    due(vendor, ago=TEN_HOURS, missed="all", overlap=overlap)
    assert tick(vendor) == 1
    assert [slot.passed_over for slot in slots()][-2:] == ["overlap", ""]


# Jitter, and what is in a message


def test_jitter_spreads_runs_over_the_minute(vendor: Vendor) -> None:
    for number in range(20):
        due(vendor, f"schedule {number}", ago=0, jitter=1000.0)
    assert tick(vendor) == 20
    late = [
        (sent(f"schedule {number}")[0].due_at - slots(f"schedule {number}")[0].due_at).total_seconds()
        for number in range(20)
    ]
    assert all(0 <= each <= 1005 for each in late) and max(late) - min(late) > 100


def test_message_is_as_its_schedule_says(vendor: Vendor) -> None:
    """BEAT-7."""
    due(
        vendor,
        task="tests.tasks.add_late",
        args=[20],
        kwargs={"y": 22},
        queue="reports",
        priority=7,
        headers={"tenant": "a"},
        lifetime=120.0,
        options={"shadow": "sum", "tags": ["month"]},
    )
    tick(vendor)
    (message,) = sent()
    assert (message.task, message.args, message.kwargs) == ("tests.tasks.add_late", [20], {"y": 22})
    assert (message.queue, message.priority, message.acks_late) == ("reports", 7, True)
    assert message.expires_at - message.enqueued_at == timedelta(seconds=120)
    slot = slots()[0].due_at.isoformat()
    assert message.options == {
        "shadow": "sum",
        "tags": ["month"],
        "headers": {"tenant": "a", "periodic_task_name": "hourly"},
        "schedule": "hourly",
        "slot": slot,
    }


def test_queue_and_priority_are_the_tasks_own_where_nothing_is_said(vendor: Vendor, settings: Any) -> None:
    """BEAT-7: a schedule is routed like any call."""
    settings.DJTASKS = {"TASK_ROUTES": {"tests.tasks.add": {"queue": "sums", "priority": 3}}}
    due(vendor)
    tick(vendor)
    assert (sent()[0].queue, sent()[0].priority) == ("sums", 3)


def test_countdown_counts_from_the_slot(vendor: Vendor) -> None:
    due(vendor, ago=5, options={"countdown": 600})
    tick(vendor)
    assert abs((sent()[0].due_at - slots()[0].due_at).total_seconds() - 600) < 0.001
