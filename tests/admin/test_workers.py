"""Workers in the control room: who is there, and what they are told."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from djtasks.admin.confirming import CONFIRMED
from djtasks.admin.processes import orders
from djtasks.admin.processes.orders import ORDERS
from djtasks.models import Beat, Command, Message, Worker
from tests.admin.conftest import Operator
from tests.helpers import PATIENCE, running_worker, wait_until
from tests.tasks import add

LIST = "admin:djtasks_worker_changelist"


def dead(name: str = "dead@here", **given: Any) -> Worker:
    """Make the row of a worker that gives no sign of life."""
    facts = {"host": "here", "pid": 1, "pool": "solo", "slots": 1, "seen_at": timezone.now() - timedelta(hours=1)}
    return Worker.objects.create(name=name, **{**facts, **given})


def tell(client: Client, verb: str, *workers: Worker, confirmed: bool = True, **given: Any) -> str:
    data = {"action": verb, "index": "0", "_selected_action": [str(each.pk) for each in workers], **given}
    answer = client.post(reverse(LIST), {**data, **({CONFIRMED: "yes"} if confirmed else {})}, follow=True)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def page_of(client: Client, worker: Worker) -> str:
    return unescape(client.get(reverse("admin:djtasks_worker_change", args=[worker.pk])).content.decode())


def test_worker_does_what_it_is_told(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "PATIENCE", PATIENCE)
    with running_worker("--pool=threads", concurrency=1) as process:
        worker = wait_until(Worker.objects.first)
        assert worker
        wait_until(lambda: "\xa0MB" in page_of(admin_client, worker))
        assert "pool has 3 slots" in tell(admin_client, "pool_grow", worker, n="2")
        assert "pool has 2 slots" in tell(admin_client, "pool_shrink", worker, n="1")
        assert "no longer consuming from mail" in tell(admin_client, "cancel_consumer", worker, queue="mail")
        wait_until(lambda: "all but mail" in page_of(admin_client, worker))
        assert "add consumer mail" in tell(admin_client, "add_consumer", worker, queue="mail")
        assert "slots" in tell(admin_client, "pool_shrink", worker, n="5") and Worker.objects.get().slots == 2
        assert "reload started" in tell(admin_client, "pool_restart", worker)
        assert "shutting down" in tell(admin_client, "shutdown", worker)
        assert process.wait() == 0
    assert LogEntry.objects.filter(object_id=str(worker.pk)).count() == 7
    assert "Add slots (n=2)" in LogEntry.objects.order_by("pk")[0].change_message


@pytest.mark.parametrize("verb", ORDERS)
def test_nothing_is_told_before_it_is_confirmed(admin_client: Client, verb: str) -> None:
    """S6."""
    worker = dead(seen_at=timezone.now())
    assert 'name="confirmed"' in tell(admin_client, verb, worker, confirmed=False)
    assert not Command.objects.exists() and not LogEntry.objects.exists()


@pytest.mark.parametrize("verb", ORDERS)
def test_only_who_may_is_offered_orders_and_can_give_them(operator: Operator, verb: str) -> None:
    """S7, S21."""
    worker = dead(seen_at=timezone.now())
    client = operator("view_worker", "revoke_task", "change_task")
    tell(client, verb, worker, n="1", queue="mail")
    assert f'value="{verb}"' not in page_of(client, worker) and not Command.objects.exists()
    assert f'value="{verb}"' in page_of(operator("view_worker", "control_worker", name="may"), worker)


def test_who_is_dead_is_said_to_be(admin_client: Client) -> None:
    worker = dead()
    assert "no sign of life" in tell(admin_client, "shutdown", worker)
    assert "icon-no" in admin_client.get(reverse(LIST)).content.decode()
    Beat.objects.create(name="beat@here", host="here", pid=1, seen_at=timezone.now() - timedelta(hours=1))
    assert "icon-no" in admin_client.get(reverse("admin:djtasks_beat_changelist")).content.decode()


@pytest.mark.parametrize(
    ("verb", "given"), [("pool_grow", {"n": "0"}), ("pool_grow", {"n": "x"}), ("add_consumer", {"queue": "a b"})]
)
def test_what_cannot_be_meant_is_not_told(admin_client: Client, verb: str, given: dict[str, str]) -> None:
    worker = dead(seen_at=timezone.now())
    assert "errorlist" in tell(admin_client, verb, worker, **given)
    assert not Command.objects.exists()


def test_page_of_a_worker_links_what_it_runs(admin_client: Client) -> None:
    worker = dead(seen_at=timezone.now())
    handle = add.delay(1, 2)
    now = timezone.now()
    Message.objects.update(worker=worker.pk, leased_until=now + timedelta(hours=1), started_at=now)
    assert f"/task/{handle.id}/change/" in page_of(admin_client, worker)
