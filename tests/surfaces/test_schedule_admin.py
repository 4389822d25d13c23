"""Schedules in the admin: made and changed by people, and as far as that makes sense those of the code."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from djtasks.models import Beat, Schedule, Slot
from tests.beat.sentences import hourly, row

pytestmark = pytest.mark.django_db(transaction=True)
ADD = {
    **{"name": "sums", "task": "tests.tasks.add", "args": "[1, 2]", "kwargs": "", "headers": '{"a": 1}', "options": ""},
    **{"kind": "crontab", "expression": "0 3 * * mon-fri", "timezone": "Europe/Paris", "fold": "first"},
    **{"enabled": "on", "missed": "once", "missed_limit": "100", "overlap": "skip", "jitter": "0", "queue": ""},
}


def posted(client: Client, page: str, **changes: Any) -> str:
    """Send the form; return what it complains of, or nothing."""
    answer = client.post(page, {**ADD, **changes})
    return "" if answer.status_code == 302 else answer.content.decode()


def test_schedule_is_made_and_changed(admin_client: Client) -> None:
    assert posted(admin_client, reverse("admin:djtasks_schedule_add")) == ""
    schedule = row("sums")
    assert (schedule.args, schedule.kwargs, schedule.headers, schedule.options) == ([1, 2], {}, {"a": 1}, {})
    assert (schedule.expression, schedule.overlap, schedule.enabled) == ("0 3 * * mon-fri", "skip", True)
    page = reverse("admin:djtasks_schedule_change", args=[schedule.pk])
    assert "[1,2]" in admin_client.get(page).content.decode()
    assert posted(admin_client, page, args="[3, 4]", kind="interval", expression="5m", enabled="") == ""
    assert (row("sums").args, row("sums").expression, row("sums").enabled) == ([3, 4], "5m", False)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"expression": "61 3 * * *"}, "61 is not from 0 to 59"),
        ({"timezone": "Mars/X"}, "unknown time zone"),
        ({"args": "[1,"}, "args"),
        ({"args": '{"a": 1}'}, "args is a list"),
        ({"jitter": "-1"}, "jitter"),
        ({"queue": "a b"}, "is no name for a queue"),
    ],
    ids=str,
)
def test_what_no_beat_could_use_is_refused(admin_client: Client, changes: dict[str, str], complaint: str) -> None:
    assert complaint in posted(admin_client, reverse("admin:djtasks_schedule_add"), **changes)
    assert not Schedule.objects.exists()


def test_of_what_code_declares_people_say_whether_it_is_enabled(admin_client: Client) -> None:
    schedule = hourly(source="settings")
    page = reverse("admin:djtasks_schedule_change", args=[schedule.pk])
    assert 'name="expression"' not in admin_client.get(page).content.decode()
    assert posted(admin_client, page, enabled="", expression="5m") == ""
    assert (row().enabled, row().expression, row().args) == (False, "1h", [1, 2])


def test_lists_are_shown(admin_client: Client) -> None:
    schedule = hourly()
    Slot.objects.create(schedule=schedule, due_at="2026-01-01T00:00:00Z")
    Beat.objects.create(name="beat@here", host="here", pid=1)
    for name, text in (("schedule", "hourly"), ("slot", "hourly"), ("beat", "beat@here")):
        assert text in admin_client.get(reverse(f"admin:djtasks_{name}_changelist")).content.decode()
