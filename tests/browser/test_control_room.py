"""The control room as people see it: on a wide screen by day and on a phone by night."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from djtasks import chain, group, shared_task
from djtasks.models import Beat, Dependency, Message, Result, Schedule, Slot, Worker
from djtasks.tasks import registry
from tests.browser.conftest import LOOKS, Open
from tests.helpers_inprocess import run_one, run_until_empty
from tests.tasks import add, fail

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HOSTILE = (
    '<script>window.hit=1</script><img src=x onerror="window.hit=1">"\'<b onmouseover="window.hit=1">'
    "{{7*7}}</pre>\u202e\x1b[31m"
)
LONG = "x" * 180
NAME = HOSTILE[:150]


def seed() -> dict[str, Any]:
    """Fill every table, and every column of text with what is hostile and long."""
    now = timezone.now()
    worker = Worker.objects.create(name=NAME, host=NAME, pid=1, pool=NAME[:32], slots=2, queues=[NAME], excluded=[NAME])
    Beat.objects.create(name=NAME, host=NAME, pid=1)
    payload = {"args": [HOSTILE, LONG], "kwargs": {HOSTILE: HOSTILE}, "options": {"headers": {HOSTILE: LONG}}}
    error = {"kind": HOSTILE, "type": HOSTILE, "message": HOSTILE + LONG, "traceback": HOSTILE + LONG, "hostname": NAME}
    held = {"worker": worker.pk, "leased_until": now + timedelta(hours=1), "started_at": now - timedelta(minutes=1)}
    shared = {"task": NAME, "queue": NAME[:128], "errors": [error], **payload}
    live = Message.objects.create(**shared, state=NAME[:64], meta={"done": 1, "total": 2, "message": HOSTILE}, **held)
    ended = Result.objects.create(
        **shared, state="FAILURE", value=HOSTILE, hostname=NAME, started_at=now, expires_at=now + timedelta(days=1)
    )
    other = Result.objects.create(task=LONG, state=NAME[:64], queue="q" * 128)
    Dependency.objects.create(message=live.pk, upstream=ended.pk, on="end")
    Dependency.objects.create(message=live.pk, upstream=other.pk, on="<b>")
    schedule = Schedule.objects.create(
        name=NAME, task="tests.tasks.add", args=[HOSTILE], kind="interval", expression="1h"
    )
    Schedule.objects.filter(pk=schedule.pk).update(error=HOSTILE + LONG, description=HOSTILE, options={"a": HOSTILE})
    Slot.objects.create(schedule=schedule, due_at=now, message=ended.pk)
    return {"live": live, "ended": ended, "schedule": schedule, "worker": worker}


def pages(rows: dict[str, Any]) -> dict[str, str]:
    """Name every page and its path."""
    found = {"tasks": "task_changelist", "overview": "overview", "schedules": "schedule_changelist"}
    found |= {"workers": "worker_changelist", "beats": "beat_changelist", "slots": "slot_changelist"}
    paths = {name: reverse(f"admin:djtasks_{view}") for name, view in found.items()}
    change = {name: reverse("admin:djtasks_task_change", args=[rows[name].pk]) for name in ("live", "ended")}
    change |= {name: reverse(f"admin:djtasks_{name}_change", args=[rows[name].pk]) for name in ("schedule", "worker")}
    more = {
        "new schedule": reverse("admin:djtasks_schedule_add"),
        "search": f"{paths['tasks']}?q=script&state=FAILURE&queue=%3Cscript%3E",
        "history": reverse("admin:djtasks_task_history", args=[rows["ended"].pk]),
        "send": f"{reverse('admin:djtasks_send')}?task=tests.tasks.add",
        "send like": f"{reverse('admin:djtasks_send')}?like={rows['ended'].pk}",
        "index": reverse("admin:app_list", args=["djtasks"]),
    }
    return paths | change | more


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits_asks_nobody_else_and_does_no_harm(visit: Open, look: str) -> None:
    """S5, S6: under the strictest policy; and looking changes nothing."""
    rows = seed()
    window = visit(look)
    before = [list(table.objects.order_by("pk").values()) for table in (Message, Result, Schedule, Worker)]
    for name, path in pages(rows).items():
        window.go(path)
        assert window.page.evaluate("window.hit") is None, name
        assert not window.page.locator("b[onmouseover]").count(), name
        window.check(name)
        _keep(window.page, f"{name}-{look}")
    assert [list(table.objects.order_by("pk").values()) for table in (Message, Result, Schedule, Worker)] == before


@pytest.mark.parametrize("look", LOOKS)
def test_task_is_revoked_after_a_question(visit: Open, look: str) -> None:
    handle = add.apply_async((1, 2), countdown=3600)
    window = visit(look)
    window.go(reverse("admin:djtasks_task_changelist"))
    window.page.check(f'input[name="_selected_action"][value="{handle.id}"]')
    window.page.select_option('select[name="action"]', "revoke")
    window.page.click('button[name="index"]')
    window.page.wait_for_selector('button[name="confirmed"]')
    window.check("the question")
    assert not LogEntry.objects.exists()
    window.page.click('button[name="confirmed"]')
    window.page.wait_for_selector('[data-state="REVOKED"]')
    window.check("the list")
    assert Result.objects.get().state == "REVOKED"


def test_all_that_match_are_chosen_with_one_box(visit: Open) -> None:
    for _ in range(3):
        add.apply_async((1, 2), countdown=3600)
    window = visit()
    window.go(f"{reverse('admin:djtasks_task_changelist')}?state=delayed")
    window.page.check('input[name="select_across"]')
    window.page.select_option('select[name="action"]', "run_now")
    window.page.click('button[name="index"]')
    window.page.click('button[name="confirmed"]')
    window.page.wait_for_selector(".messagelist .success")
    assert not Message.objects.filter(due_at__gt=timezone.now()).exists()
    window.check("the list")


def test_overview_refreshes_itself_while_somebody_looks(visit: Open) -> None:
    add.delay(1, 2)
    window = visit()
    window.page.clock.install()
    window.go(reverse("admin:djtasks_overview"))
    window.page.evaluate("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})")
    window.page.clock.run_for(60_000)
    assert not [url for url in window.requests if "fragment" in url]
    add.apply_async((1, 2), queue="mail")
    window.page.evaluate("Object.defineProperty(document, 'hidden', {configurable: true, get: () => false})")
    window.page.clock.run_for(6_000)
    window.page.wait_for_selector('[data-queue="mail"]')
    window.check("the overview")


def test_overview_needs_no_script(visit: Open) -> None:
    add.delay(1, 2)
    window = visit(java_script_enabled=False)
    window.go(reverse("admin:djtasks_overview"))
    assert window.page.locator('[data-queue="default"]').count() == 1
    assert window.page.locator('noscript meta[http-equiv="refresh"]').count() <= 1


def test_next_runs_follow_what_is_typed(visit: Open) -> None:
    window = visit()
    window.go(reverse("admin:djtasks_schedule_add"))
    window.page.select_option("#id_kind", "crontab")
    window.page.fill("#id_timezone", "Asia/Tokyo")
    window.page.fill("#id_expression", "30 3 * * *")
    window.page.press("#id_expression", "Tab")
    window.page.locator("#djtasks-preview", has_text="03:30:00+09:00").wait_for()
    window.check("the form")


def test_story_of_a_task_is_told(visit: Open) -> None:
    fail.delay("it broke")
    last = chain(add.s(1, 2), add.s(3)).delay()
    run_until_empty()
    window = visit()
    window.go(reverse("admin:djtasks_task_changelist"))
    assert window.page.locator('tr [data-state="SUCCESS"]').count() == 2
    window.page.click(f'a[href*="/task/{last.id}/"]')
    window.page.wait_for_selector(".djtasks-timeline")
    assert "SUCCESS" in window.page.inner_text(".djtasks-timeline")
    window.page.click(f'a[href*="/task/{last.parent.id}/"]')
    window.page.wait_for_url(f"**/{last.parent.id}/change/")
    assert window.page.inner_text("#djtasks-value") == "3"
    window.check("the task")


@pytest.mark.parametrize("look", LOOKS)
def test_workflow_is_drawn_and_leads_on(visit: Open, look: str) -> None:
    """It scrolls in its box, and is told as a list, too."""
    last = chain(group(add.si(1, each) for each in range(80)), add.si(0, 0), add.si(1, 1), add.si(2, 2)).delay()
    run_one()
    window = visit(look)
    window.go(reverse("admin:djtasks_task_change", args=[last.id]))
    assert window.page.locator("a.djtasks-node").count() == 60
    window.check("the workflow")
    assert not window.page.locator("[style]", has=window.page.locator(".djtasks-node")).count()
    _keep(window.page, f"workflow-{look}")
    window.page.click("#content details summary")
    window.page.locator(f'.djtasks-steps a[href*="{last.parent.id}"]').wait_for()
    window.page.click(f'a.djtasks-node[href*="{last.parent.id}"]')
    window.page.wait_for_url(f"**/{last.parent.id}/change/")
    window.check("the other task")


@pytest.fixture
def shop() -> Iterator[None]:
    """The tasks of a shop, so that the pictures tell how often they may be tried."""
    names = [f"shop.tasks.{name}" for name in ("send_mail", "make_report", "crawl")]
    for name in names:
        shared_task(name=name)(lambda: None)
    yield
    for name in names:
        registry.forget(name)


def test_pictures_of_the_readme(visit: Open, shop: None) -> None:
    work()
    window = visit()
    window.go(reverse("admin:djtasks_overview"))
    # The browser remembers it.
    window.page.click("#toggle-nav-sidebar")
    for name, page, height in (("overview", "overview", 1000), ("tasks", "task_changelist", 900)):
        window.page.set_viewport_size({"width": 1280, "height": height})
        window.go(reverse(f"admin:djtasks_{page}"))
        window.check(name)
        _keep(window.page, f"readme-{name}", whole=False)
    assert window.page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('.results'))")


def work() -> None:
    """Let there be an hour behind, and some work ahead."""
    now = timezone.now()
    shown = {"host": "web-1", "pid": 4711, "pool": "processes", "slots": 4, "memory": 214 * 1024}
    worker = Worker.objects.create(name="djtasks@web-1", **shown)
    for name, minutes in (("hourly report", 7), ("crawl the news", 22)):
        schedule = Schedule.objects.create(name=name, task="shop.tasks.crawl", kind="interval", expression="1h")
        Schedule.objects.filter(pk=schedule.pk).update(next_run_at=now + timedelta(minutes=minutes, seconds=2))
    Beat.objects.create(name="beat@web-1", host="web-1", pid=4712, worker=worker.pk)
    for number in range(240):
        # More in some minutes than in others.
        ended_at = now - timedelta(seconds=15 * number + 9 * (number % 7))
        begun_at = ended_at - timedelta(seconds=0.2 + number % 7)
        Result.objects.create(
            task=("shop.tasks.send_mail", "shop.tasks.make_report", "shop.tasks.crawl")[number % 3],
            queue=("mail", "reports", "crawler")[number % 3],
            state="FAILURE" if number % 23 == 5 else "SUCCESS",
            due_at=begun_at - timedelta(seconds=number % 5 / 4),
            started_at=begun_at,
            finished_at=ended_at,
            expires_at=ended_at + timedelta(days=1),
            hostname=worker.name,
        )
    for number in range(12):
        message = Message.objects.create(task="shop.tasks.crawl", queue="crawler", enqueued_at=now)
        if number < 3:
            held = {"worker": worker.pk, "leased_until": now + timedelta(minutes=1)}
            begun_at = now - timedelta(seconds=10 * number + 4)
            Message.objects.filter(pk=message.pk).update(**held, started_at=begun_at, due_at=begun_at)
        elif number == 11:
            Message.objects.filter(pk=message.pk).update(due_at=now + timedelta(minutes=5), retries=1)


def _keep(page: Any, name: str, whole: bool = True) -> None:
    """Keep a picture where SCREENSHOTS names a directory."""
    if directory := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(directory) / f"{name.replace(' ', '-')}.png", full_page=whole)
