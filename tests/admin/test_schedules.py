"""Schedules in the control room: what they are about to do, what they did, and what operators do with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from djtasks import shared_task
from djtasks.admin.confirming import CONFIRMED
from djtasks.admin.schedules import words
from djtasks.models import Message, Schedule, Slot
from djtasks.tasks import registry
from djtasks.tasks.masking import MASK
from tests.admin.conftest import REFUSED, SECRET, Operator
from tests.beat.sentences import change_by_sql, hourly, made, row

LIST = "admin:djtasks_schedule_changelist"


@pytest.fixture
def secretive() -> Iterator[str]:
    """A task of which nothing may be seen."""
    yield shared_task(name="tests.secretive", sensitive=True)(lambda *args, **kwargs: None).name
    registry.forget("tests.secretive")


def page_of(schedule: Schedule) -> str:
    return reverse("admin:djtasks_schedule_change", args=[schedule.pk])


def shown(client: Client, schedule: Schedule) -> str:
    answer = client.get(page_of(schedule))
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def form_of(client: Client, schedule: Schedule) -> dict[str, Any]:
    """Return what a browser would send of the form as it stands."""
    form = client.get(page_of(schedule)).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def saved(client: Client, schedule: Schedule, **changes: Any) -> str:
    """Send the form with changes; return what it complains of, or nothing."""
    answer = client.post(page_of(schedule), {**form_of(client, schedule), **changes})
    return "" if answer.status_code == 302 else str(answer.context["errors"])


def act(client: Client, verb: str, *schedules: Schedule, confirmed: bool = True) -> str:
    data = {"action": verb, "index": "0", "_selected_action": [each.pk for each in schedules]}
    answer = client.post(reverse(LIST), {**data, **({CONFIRMED: "yes"} if confirmed else {})}, follow=True)
    return unescape(answer.content.decode())


# Secrets


def test_sensitive_arguments_are_masked_and_kept(admin_client: Client, log_in: str) -> None:
    """S10."""
    schedule = hourly(task=log_in, args=["ann", SECRET], kwargs={})
    page = shown(admin_client, schedule)
    assert SECRET not in page and f'["ann","{MASK}"]' in page
    assert saved(admin_client, schedule, description="changed") == ""
    assert (row().description, row().args) == ("changed", ["ann", SECRET])
    assert saved(admin_client, schedule, args=f'["bob", "{MASK}"]') == ""
    assert row().args == ["bob", SECRET]
    assert saved(admin_client, schedule, args='["bob"]', kwargs='{"password": "new"}') == ""
    assert saved(admin_client, schedule, args="[]", kwargs=f'{{"user": "eve", "password": "{MASK}"}}') == ""
    assert (row().args, row().kwargs) == ([], {"user": "eve", "password": "new"})


def test_task_that_is_sensitive_as_a_whole_is_masked_as_a_whole(admin_client: Client, secretive: str) -> None:
    """S10."""
    schedule = hourly(task=secretive, args=[SECRET], kwargs={"a": SECRET})
    assert SECRET not in shown(admin_client, schedule)
    assert saved(admin_client, schedule, description="changed") == ""
    assert (row().args, row().kwargs) == ([SECRET], {"a": SECRET})


def test_secret_is_not_handed_to_a_task_that_would_show_it(admin_client: Client, log_in: str) -> None:
    """S8, S10."""
    schedule = hourly(task=log_in, args=["ann", SECRET])
    assert "another task" in saved(admin_client, schedule, task="tests.tasks.add")
    assert row().task == log_in


def test_who_may_see_no_arguments_can_keep_them(operator: Operator) -> None:
    """S7."""
    schedule = hourly(args=[1, 23456])
    client = operator("view_schedule", "change_schedule")
    assert "23456" not in shown(client, schedule)
    assert saved(client, schedule, description="changed") == ""
    assert (row().description, row().args) == ("changed", [1, 23456])


@pytest.mark.parametrize("source", ["", "settings"])
def test_who_may_only_look_sees_what_may_be_seen(operator: Operator, log_in: str, source: str) -> None:
    """S7, S10: also of what code declares."""
    schedule = hourly(task=log_in, args=["ann-23", SECRET], source=source)
    viewer, payloads = operator("view_schedule", name="a"), operator("view_schedule", "view_payload", name="b")
    assert "ann-23" not in shown(viewer, schedule)
    page = shown(payloads, schedule)
    assert "ann-23" in page and MASK in page and SECRET not in page
    assert viewer.post(page_of(schedule), {"name": "x"}).status_code == 403


# What can be sent


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"task": "os.system"}, "No task has this name"),
        ({"args": "[1]"}, "cannot be called like this"),
        ({"kwargs": '{"z": 1}'}, "cannot be called like this"),
    ],
)
def test_only_what_a_task_takes_is_accepted(admin_client: Client, changes: dict[str, str], complaint: str) -> None:
    """S8."""
    schedule = hourly()
    assert complaint in saved(admin_client, schedule, **changes)
    assert (row().task, row().args, row().kwargs) == ("tests.tasks.add", [1, 2], {})


def test_only_what_may_be_chosen_is_offered_and_accepted(operator: Operator, dangerous: str) -> None:
    """S8: nor what is djtasks' own."""
    client = operator("view_schedule", "change_schedule", "view_payload", name="anna")
    schedule = hourly()
    page = shown(client, schedule)
    assert '<option value="tests.tasks.fail">' in page and dangerous not in page and "djtasks.map" not in page
    for name in (dangerous, "djtasks.map", "djtasks.errback"):
        assert REFUSED in saved(client, schedule, task=name, args="[]", kwargs="{}")
    assert row().task == "tests.tasks.add" and not LogEntry.objects.exists()
    assert saved(client, schedule, task="tests.tasks.fail", args='["text"]') == ""
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("anna", str(schedule.pk))
    assert "Task" in entry.get_change_message()


def test_of_what_code_alone_may_send_only_the_time_is_changed(admin_client: Client, dangerous: str) -> None:
    """S8: of a schedule that a command or code has made, or whose task may not be chosen any more."""
    schedule = hourly(task=dangerous, args=["ls"])
    for changes in ({"args": '["rm"]'}, {"kwargs": '{"command": "rm"}'}, {"headers": '{"a": 1}'}):
        assert REFUSED in saved(admin_client, schedule, **changes)
    assert saved(admin_client, schedule, expression="2h") == ""
    assert (row().task, row().args, row().expression) == (dangerous, ["ls"], "2h")


def test_settings_say_whether_tasks_may_be_chosen(admin_client: Client, settings: Any) -> None:
    settings.DJTASKS = {"TASK_SCHEDULABLE": False}
    schedule = hourly()
    assert "tests.tasks.fail" not in shown(admin_client, schedule)
    assert REFUSED in saved(admin_client, schedule, task="tests.tasks.fail", args="[]")


# What it is about to do, and what it did


def test_next_runs_are_told_in_both_clocks(admin_client: Client) -> None:
    schedule = made("nightly", kind="crontab", expression="30 3 * * *", timezone="Asia/Tokyo")
    page = shown(admin_client, schedule)
    assert len(re.findall(r"03:30:00\+09:00", page)) == len(re.findall(r"18:30:00\+00:00", page)) == 5


def test_rule_is_told_in_words(admin_client: Client) -> None:
    """What a library that may be missing says of crontabs; what it cannot read is left to the rule itself."""
    pytest.importorskip("cron_descriptor")
    page = reverse("admin:djtasks_schedule_preview")
    for given, said in (
        ({"kind": "crontab", "expression": "30 3 * * *"}, "<p>At 03:30</p>"),
        ({"kind": "crontab", "expression": "*/5 9 * * mon-fri"}, "Monday through Friday</p>"),
        ({"kind": "interval", "expression": "2h"}, "<p>Every 2h</p>"),
    ):
        assert said in admin_client.get(page, given).content.decode()
    assert words.in_words(Schedule(kind="crontab", expression="no rule")) == ""


def test_rule_is_shown_where_nobody_has_words_for_it(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "cron_descriptor", None)
    given = {"kind": "crontab", "expression": "30 3 * * *"}
    told = admin_client.get(reverse("admin:djtasks_schedule_preview"), given).content.decode()
    assert "03:30:00" in told and "<p>" not in told


def test_next_runs_are_told_before_anything_is_saved(admin_client: Client) -> None:
    page = reverse("admin:djtasks_schedule_preview")
    given = {"kind": "crontab", "expression": "0 12 * * *", "timezone": "Europe/Paris", "fold": "first"}
    told = admin_client.get(page, given).content.decode()
    assert len(re.findall(r"12:00:00\+0[12]:00", told)) == 5 and "<html" not in told
    for wrong in ({"expression": "<script>"}, {"kind": "nonsense"}, {"timezone": "Mars/<b>"}, {"fold": "x"}):
        told = admin_client.get(page, given | wrong).content.decode()
        assert "errornote" in told and "<script" not in told and "<b>" not in told
    assert not Schedule.objects.exists()


def test_rule_that_is_never_due_is_told_at_once(admin_client: Client) -> None:
    """S14."""
    given = {"kind": "crontab", "expression": "0 0 30 2 *"}
    assert "never comes" in admin_client.get(reverse("admin:djtasks_schedule_preview"), given).content.decode()


def test_preview_is_for_who_may_see_schedules(operator: Operator) -> None:
    page = reverse("admin:djtasks_schedule_preview")
    assert operator(name="a").get(page).status_code == 403 and Client().get(page).status_code == 302
    assert operator("view_schedule", name="b").get(page, {"kind": "interval", "expression": "1h"}).status_code == 200


def test_slots_are_linked_to_their_tasks(admin_client: Client) -> None:
    schedule = hourly()
    message = Message.objects.create(task="tests.tasks.add")
    Slot.objects.create(schedule=schedule, due_at=timezone.now(), message=message.pk)
    Slot.objects.create(schedule=schedule, due_at=timezone.now() - timedelta(hours=1), passed_over="overlap")
    page = shown(admin_client, schedule)
    assert reverse("admin:djtasks_task_change", args=[message.pk]) in page and "passed over: overlap" in page


# What operators do


def test_schedule_is_sent_now(admin_client: Client) -> None:
    schedule = hourly(queue="mail")
    assert "confirmed" in act(admin_client, "run_now", schedule, confirmed=False) and not Message.objects.exists()
    page = act(admin_client, "run_now", schedule)
    message = Message.objects.get()
    assert str(message.pk) in page and (message.queue, message.args) == ("mail", [1, 2])
    assert str(message.pk) in LogEntry.objects.get().change_message and row().runs == 0
    assert message.options["sent_by"] == "admin"


def test_schedule_is_disabled_and_enabled(admin_client: Client) -> None:
    first, second = hourly("first"), hourly("second")
    act(admin_client, "disable", first, second, confirmed=False)
    assert Schedule.objects.filter(enabled=True).count() == 2
    act(admin_client, "disable", first, second)
    assert not Schedule.objects.filter(enabled=True).exists()
    act(admin_client, "enable", second)
    assert (row("first").enabled, row("second").enabled) == (False, True)
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize("changes", [{"expression": "nonsense"}, {"timezone": "Mars/X"}, {"kind": "x"}, {"task": ""}])
def test_schedule_that_is_broken_is_shown_and_can_be_disabled(admin_client: Client, changes: dict[str, str]) -> None:
    schedule = hourly()
    change_by_sql("hourly", **changes)
    assert "hourly" in admin_client.get(reverse(LIST)).content.decode()
    assert 'value="disable"' in shown(admin_client, schedule)
    act(admin_client, "disable", schedule)
    assert not row().enabled
    assert "schedule 'hourly'" in act(admin_client, "enable", schedule) and not row().enabled


@pytest.mark.parametrize(("verb", "may"), [("run_now", "run_schedule"), ("disable", "change_schedule")])
def test_only_who_may_does_it(operator: Operator, verb: str, may: str) -> None:
    """S7."""
    schedule = hourly()
    others = {"run_schedule", "change_schedule"} - {may}
    client = operator("view_schedule", *others, name="other")
    act(client, verb, schedule)
    assert f'value="{verb}"' not in shown(client, schedule)
    assert row().enabled and not Message.objects.exists()
    act(operator("view_schedule", may), verb, schedule)
    assert not row().enabled or Message.objects.exists()
