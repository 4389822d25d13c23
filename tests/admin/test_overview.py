"""The overview: what it says is what is, at a cost that does not grow with the tables."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from djtasks.admin.overview import endings, queues
from djtasks.admin.overview.looking import look
from djtasks.admin.tasks.admin import TaskAdmin
from djtasks.models import Beat, Message, Queue, Result, Schedule, Worker
from tests.admin.conftest import Operator
from tests.admin.sentences import LIST
from tests.beat.sentences import hourly
from tests.helpers_inprocess import run_until_empty
from tests.tasks import add, fail

PAGE = "admin:djtasks_overview"


def shown(client: Client, **given: Any) -> str:
    answer = client.get(reverse(PAGE), given)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def worker(name: str = "w@here", **given: Any) -> Worker:
    return Worker.objects.create(**{"name": name, "host": "here", "pid": 1, "pool": "solo", "slots": 4, **given})


def ended(seconds_ago: float = 60, waited: float = 1, ran: float = 2, **given: Any) -> Result:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    begun = at - timedelta(seconds=ran)
    times = {"finished_at": at, "started_at": begun, "due_at": begun - timedelta(seconds=waited)}
    expires_at = at + timedelta(days=1)
    return Result.objects.create(**{"task": "t", "state": "SUCCESS", "expires_at": expires_at, **times, **given})


def test_queue_is_told_as_it_stands() -> None:
    now = timezone.now()
    for number in range(6):
        add.apply_async((1, number), queue="mail")
    waiting = list(Message.objects.order_by("pk"))
    facts = (
        {"due_at": now - timedelta(minutes=5)},
        {"due_at": now + timedelta(hours=1)},
        {"due_at": None},
        {"leased_until": now + timedelta(hours=1)},
        {"leased_until": now + timedelta(hours=1), "started_at": now - timedelta(seconds=9)},
        {"due_at": now - timedelta(hours=3), "leased_until": now - timedelta(hours=1), "started_at": now},
    )
    for message, columns in zip(waiting, facts, strict=True):
        Message.objects.filter(pk=message.pk).update(**columns)
    (queue,) = look()["queues"]
    standing = queue.standing
    assert (standing.name, standing.depth, standing.waiting, standing.later) == ("mail", 6, 2, 1)
    assert (standing.counts["blocked"], standing.counts["reserved"], standing.counts["running"]) == (1, 1, 1)
    assert queue.oldest.startswith("3 h") and standing.running[0].id == waiting[4].pk


def test_of_a_long_queue_the_head_is_looked_at_and_so_much_is_counted(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H7."""
    monkeypatch.setattr(queues, "MOST_LOOKED_AT", 3)
    for _ in range(5):
        add.delay(1, 2)
    (queue,) = look()["queues"]
    assert (queue.standing.waiting, queue.standing.depth, queue.standing.is_complete) == (3, 5, False)
    assert "<td>3+</td>" in shown(admin_client) and "<td>5</td>" in shown(admin_client)
    monkeypatch.setattr(queues, "MOST_COUNTED", 4)
    assert "<td>4+</td>" in shown(admin_client)


def test_course_of_the_last_hour_is_told() -> None:
    for number in range(1, 21):
        ended(60 * number, waited=number, ran=2 * number, state="FAILURE" if number > 15 else "SUCCESS")
    ended(2 * 3600, queue="long.ago")
    course = look()["course"]
    assert (course.ended, course.failed, round(course.failure_rate), round(course.per_minute, 2)) == (20, 5, 25, 0.33)
    seconds = [[round(each.total_seconds()) for each in pair] for pair in (course.waited, course.ran)]
    assert seconds == [[10, 19], [20, 38]]
    assert sum(bar.ended for bar in course.bars) == 20 and sum(bar.failed for bar in course.bars) == 5
    assert len([bar for bar in course.bars if bar.ended]) in (19, 20)


def test_what_ended_lately_counts_however_long_it_had_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids tell when something was sent: with a backlog that says nothing of when it ended."""
    monkeypatch.setattr(endings, "MOST_READ", 2)
    backlog = [ended(seconds) for seconds in (10, 20)]
    for _ in range(5):
        ended(1800)
    assert all(old.pk < Result.objects.order_by("-pk").first().pk for old in backlog)
    course = look()["course"]
    assert course.ended == 2 and course.span < timedelta(minutes=1)


def test_chart_has_a_scale_and_ends_in_time(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        ended(120)
    ended(1800)
    page = shown(admin_client)
    assert "The last hour" in page and "The highest bar: 3 in 1 min<" in page
    assert len(re.findall(r'<time datetime="[^"]+">\d\d:\d\d</time>', page)) == 2
    monkeypatch.setattr(endings, "MOST_READ", 3)
    assert re.search(r"The last 2 min", shown(admin_client))


def test_results_that_never_expire_are_told_too(settings: Any) -> None:
    settings.DJTASKS = {"RESULT_EXPIRES": None}
    ended(expires_at=None)
    assert look()["course"].ended == 1


def test_real_runs_are_told(admin_client: Client) -> None:
    add.apply_async((1, 2), queue="mail")
    fail.delay()
    run_until_empty()
    page = shown(admin_client)
    assert 'data-queue="mail"' in page and 'data-queue="default"' in page
    assert "2 ended" in page and "100.0 %" in page and "<svg" in page


def test_workers_and_what_they_run_are_told_and_the_dead_leave(admin_client: Client) -> None:
    now = timezone.now()
    alive = worker("alive@here")
    worker("dead@here", seen_at=now - timedelta(minutes=5))
    worker("gone@here", seen_at=now - timedelta(hours=2))
    handle = add.delay(1, 2)
    held = {"worker": alive.pk, "leased_until": now + timedelta(hours=1), "started_at": now - timedelta(seconds=90)}
    Message.objects.update(**held)
    page = shown(admin_client)
    assert re.search(r"alive@here.*alive.*dead@here.*dead", page, re.DOTALL) and "gone@here" not in page
    assert re.search(rf"/task/{handle.id}/change/.*</a> \d min", page)
    assert [(each.row.name, each.is_alive, len(each.running)) for each in look()["workers"]] == [
        ("alive@here", True, 1),
        ("dead@here", False, 0),
    ]


def test_memory_of_a_worker_is_told_where_it_is_known(admin_client: Client) -> None:
    heavy, light = worker("heavy@here", memory=300 * 1024), worker("light@here")
    assert [each.memory for each in look()["workers"]] == ["300.0\xa0MB", ""]
    assert "300.0\xa0MB" in shown(admin_client)
    pages = [admin_client.get(reverse("admin:djtasks_worker_change", args=[each.pk])) for each in (heavy, light)]
    assert ["300.0\xa0MB" in unescape(page.content.decode()) for page in pages] == [True, False]


def test_what_is_due_next_is_told_in_its_order(admin_client: Client, operator: Operator) -> None:
    now = timezone.now()
    for name, minutes in (("third", 50), ("late", -3), ("second", 20)):
        Schedule.objects.filter(pk=hourly(name=name).pk).update(next_run_at=now + timedelta(minutes=minutes))
    Schedule.objects.filter(pk=hourly(name="disabled").pk).update(next_run_at=now, enabled=False)
    assert [each.name for each in look()["due_next"]] == ["late", "second", "third"]
    page = shown(admin_client)
    assert re.search(r"late<.*>3 min( \d+ s)? ago<.*second<.*>in \d+ min", page, re.DOTALL)
    assert "second<" in shown(operator("view_schedule", name="other")) and "second<" not in shown(operator())


def test_queues_of_what_may_not_be_seen_are_not_shown(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """S16: nor how it went in them, nor what runs, on any page that names them."""
    busy = worker()
    held = {"worker": busy.pk, "leased_until": timezone.now() + timedelta(hours=1), "started_at": timezone.now()}
    hidden, _ = (add.apply_async((1, 2), queue=queue).id for queue in ("theirs", "ours"))
    Message.objects.update(**held)
    ended(queue="theirs.too")
    Queue.objects.create(name="theirs.paused", paused_at=timezone.now())
    overview, tasks = reverse(PAGE), reverse(LIST)
    of_worker = reverse("admin:djtasks_worker_change", args=[busy.pk])

    def seen(page: str) -> str:
        return admin_client.get(page).content.decode()

    assert seen(overview).count("data-queue") == 4 and "theirs" in seen(tasks) and hidden in seen(of_worker)
    monkeypatch.setattr(TaskAdmin, "visible", lambda self, request, rows: rows.filter(queue="ours"))
    assert re.findall('data-queue="([^"]+)"', seen(overview)) == ["ours"]
    for page in (overview, tasks, of_worker):
        assert "theirs" not in seen(page) and hidden not in seen(page)


def test_what_is_wrong_is_said(admin_client: Client, operator: Operator) -> None:
    schedule = hourly(error="ValueError: <b>no</b>")
    page = shown(admin_client)
    assert "No worker is there" in page and "No beat is alive, and 1 schedule is enabled" in page
    assert "<li>hourly" in page and "<li>hourly" not in shown(operator())
    with translation.override("de"):
        assert "Kein Beat ist am Leben, und 1 Zeitplan ist aktiviert" in shown(admin_client)
    Beat.objects.create(name="beat@here", host="here", pid=1)
    worker()
    page = shown(admin_client)
    assert "No worker is there" not in page and "No beat is alive" not in page and "beat@here" in page
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=timezone.now() - timedelta(hours=2, minutes=5))
    assert re.search(r"1 schedule is late, by up to 2 h \d+ min\.", shown(admin_client))
    with translation.override("de"):
        assert "1 Zeitplan ist verspätet, um bis zu 2 h" in shown(admin_client)


def test_fragment_is_the_part_that_changes(admin_client: Client) -> None:
    add.delay(1, 2)
    part = shown(admin_client, fragment="1")
    assert "<html" not in part and part.lstrip().startswith("<") and 'data-queue="default"' in part
    page = shown(admin_client)
    assert "<noscript><meta http-equiv" in page and "fragment=1" in page


def test_overview_counts_no_table(admin_client: Client) -> None:
    """H7, trap 13."""
    add.delay(1, 2)
    with CaptureQueriesContext(connection) as asked:
        shown(admin_client)
    for query in asked:
        if re.search('FROM "djtasks_(message|result)"', query["sql"]):
            assert "LIMIT" in query["sql"], query["sql"]


def test_overview_is_for_who_may_see_tasks(operator: Operator) -> None:
    """S19."""
    from django.contrib.auth.models import User

    staff = Client()
    staff.force_login(User.objects.create_user("staff", is_staff=True))
    assert Client().get(reverse(PAGE)).status_code == 302 and staff.get(reverse(PAGE)).status_code == 403
    assert "Queues" in shown(operator())


def test_it_is_found_from_where_one_begins(admin_client: Client) -> None:
    for page in (reverse("admin:app_list", args=["djtasks"]), reverse("admin:djtasks_task_changelist")):
        assert reverse(PAGE) in admin_client.get(page).content.decode()


# Pauses


def switch(client: Client, action: str, name: str = "mail", **given: Any) -> Any:
    return client.post(reverse(PAGE), {"action": action, "name": name, **given}, follow=True)


def test_queue_is_paused_and_resumed_after_a_question(admin_client: Client) -> None:
    """S6."""
    asked = switch(admin_client, "pause")
    assert b'name="confirmed"' in asked.content and not Queue.objects.exists()
    assert b"Pause: mail." in switch(admin_client, "pause", confirmed="yes").content
    assert Queue.objects.get().paused_at and "paused for" in shown(admin_client)
    assert b"was so already" in switch(admin_client, "pause", confirmed="yes").content
    switch(admin_client, "resume", confirmed="yes")
    assert Queue.objects.get().paused_at is None and "paused for" not in shown(admin_client)
    assert list(LogEntry.objects.order_by("pk").values_list("object_id", "change_message")) == [
        ("mail", "Pause"),
        ("mail", "Resume"),
    ]


@pytest.mark.parametrize("given", [{"action": "explode"}, {"action": "pause", "name": "a b"}, {"action": "pause"}])
def test_what_cannot_be_meant_is_refused(admin_client: Client, given: dict[str, str]) -> None:
    assert switch(admin_client, **{"name": "", **given}, confirmed="yes").status_code == 400
    assert not Queue.objects.exists()


def test_queue_that_may_not_be_seen_is_neither_paused_nor_resumed(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S16: nor is it told whether it is there; and one in which something has just ended can be seen."""
    add.apply_async((1, 2), queue="theirs")
    add.apply_async((1, 2), queue="ours")
    ended(queue="ours.too")
    Queue.objects.create(name="theirs.too", paused_at=timezone.now())
    monkeypatch.setattr(TaskAdmin, "visible", lambda self, request, rows: rows.filter(queue__startswith="ours"))
    before = list(Queue.objects.order_by("name").values())
    for action, name in (("pause", "theirs"), ("pause", "nobody"), ("resume", "theirs.too")):
        for given in ({}, {"confirmed": "yes"}):
            assert switch(admin_client, action, name, **given).status_code == 403
    assert list(Queue.objects.order_by("name").values()) == before and not LogEntry.objects.exists()
    for name in ("ours", "ours.too"):
        assert b"Pause: " in switch(admin_client, "pause", name, confirmed="yes").content
        assert b"Resume: " in switch(admin_client, "resume", name, confirmed="yes").content


def test_only_who_may_pauses(operator: Operator) -> None:
    """S7."""
    add.delay(1, 2)
    client = operator("change_task", "control_worker")
    assert switch(client, "pause", confirmed="yes").status_code == 403 and not Queue.objects.exists()
    assert 'value="pause"' not in shown(client)
    assert 'value="pause"' in shown(operator("pause_queue", name="may"))
