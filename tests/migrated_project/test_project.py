"""A project of Celery's moves over. What had to change in it:

- ``from celery import`` became ``from djtasks import``, likewise ``celery.exceptions`` and ``celery.signals``;
- ``settings.py`` has one statement more, which makes ``DJTASKS`` of what begins with ``CELERY_``;
- its ``celery.py`` with the app object is gone, and with it the import in ``__init__.py``;
- ``INSTALLED_APPS`` has ``djtasks``, and ``manage.py migrate`` has made its tables.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Warning
from django.utils import timezone

from djtasks import AsyncResult, signals
from djtasks.checks import check_settings
from djtasks.models import Message, Result
from tests.helpers import drain, messages, on_one_database, wait_until
from tests.migrated_project import settings as project
from tests.migrated_project.shop import tasks

pytestmark = pytest.mark.django_db(transaction=True)
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.migrated_project.settings"}


@pytest.fixture(autouse=True)
def receivers(settings: Any) -> Iterator[Any]:
    """Have the project's settings, and its receivers connected, as its app does where it is installed."""
    settings.DJTASKS = project.MOVED
    receivers = anew("tests.migrated_project.shop.receivers")
    yield receivers
    signals.task_prerun.disconnect(receivers.hear_prerun)
    signals.task_success.disconnect(receivers.hear_success, sender=tasks.render_thumbnail)
    signals.task_failure.disconnect(receivers.hear_failure)


def anew(name: str) -> Any:
    """Import a module, even for the second time."""
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def run_worker() -> None:
    """Run ``manage.py runworker --burst`` until nothing is left, also of what is due later."""
    while messages().exists():
        wait_until(lambda: messages().filter(due_at__lte=timezone.now()).exists())
        drain("-Q", "celery,mail,media,vip", "-l", "info", environment=SETTINGS)


def lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if os.path.exists(path) else []


def test_only_import_lines_of_the_tasks_have_changed() -> None:
    sources = [path.read_text() for path in Path(tasks.__file__).parent.glob("*.py")]
    changed = [line for source in sources for line in source.splitlines() if "djtasks" in line]
    assert len(changed) == 3
    for line in changed:
        before, _, after = line.partition("  # ")
        assert before.startswith(f"from {after.replace('celery', 'djtasks')} import ")


def test_settings_that_only_celery_needs_are_warnings() -> None:
    found = check_settings()
    assert all(isinstance(message, Warning) for message in found)
    named = {message.msg.split("'")[1] for message in found if message.id == "djtasks.W002"}
    assert named == {
        "BROKER_URL",
        "BROKER_CONNECTION_RETRY_ON_STARTUP",
        "RESULT_BACKEND",
        "RESULT_EXTENDED",
        "ACCEPT_CONTENT",
        "TASK_SERIALIZER",
        "RESULT_SERIALIZER",
        "ENABLE_UTC",
        "WORKER_PREFETCH_MULTIPLIER",
        "WORKER_SEND_TASK_EVENTS",
    }


def test_calls_go_where_the_settings_say(tmp_path: Path) -> None:
    """ROUTE-1, TASK-7."""
    sent = [
        tasks.send_receipt.delay(),
        tasks.render_thumbnail.delay("", 1),
        tasks.charge.delay(1, customer="big"),
        tasks.charge.apply_async((1,), {"customer": "big"}, queue="celery", priority=1),
        tasks.fan_out.delay("", 0),
    ]
    rows = [Message.objects.get(pk=result.id) for result in sent]
    assert [(row.queue, row.priority) for row in rows] == [
        ("mail", 5),
        ("media", 0),
        ("vip", 9),
        ("celery", 1),
        ("celery", 0),
    ]
    assert tasks.count_visit.rate_limit == "100/s"
    assert (tasks.charge.time_limit, tasks.charge.soft_time_limit) == (1800, 1500)


@on_one_database
def test_project_runs_with_a_real_worker(tmp_path: Path) -> None:
    path = str(tmp_path / "diary")
    receipt, vain = tasks.send_receipt.delay(), tasks.send_in_vain.delay(path)
    paid = tasks.charge.delay(7)
    thumbnail = tasks.render_thumbnail.apply_async((path, 21), expires=600)
    sold_out = tasks.reserve_item.delay("lamp")
    later = tasks.remind.apply_async((path,), countdown=1)
    at_once = tasks.remind.apply_async((path,), eta=timezone.now() + timedelta(seconds=1))
    ignored = tasks.remind.delay(path)
    fan = tasks.fan_out.delay(path, 3)
    poster = tasks.render_poster.delay(20)
    run_worker()
    assert receipt.get() == {"retries": 2, "queue": "mail"}
    assert (vain.state, str(vain.result), vain.retries) == ("FAILURE", "given up", 1)
    assert paid.get() == [7, 1, "celery", 0]
    assert thumbnail.get() == 42
    assert poster.get() == "draft"
    with pytest.raises(tasks.OutOfStock, match="lamp"):
        sold_out.get()
    assert later.get() is at_once.get() is True
    assert not ignored.exists()
    assert AsyncResult(fan.get()).get() == [1, 1, "vip", 9]
    assert not Result.objects.filter(task__endswith="count_visit").exists()
    written = lines(path)
    assert (written.count("visit"), written.count("reminded")) == (3, 2)
    assert [line for line in written if line.startswith(("on_", "after", "before"))].count("on_success 42") == 1
    assert {"on_retry 0", "on_failure given up", "after_return FAILURE", "after_return SUCCESS"} <= set(written)


def test_project_runs_in_its_own_tests(settings: Any, receivers: Any, tmp_path: Path) -> None:
    """MON-3."""
    settings.DJTASKS = {**project.MOVED, "TASK_ALWAYS_EAGER": True, "TASK_EAGER_PROPAGATES": True}
    path = str(tmp_path / "diary")
    assert tasks.send_receipt.delay().get() == {"retries": 2, "queue": "mail"}
    assert tasks.render_thumbnail(path, 4) == 8
    assert tasks.render_thumbnail.delay(path, 4).get() == 8
    with pytest.raises(tasks.OutOfStock):
        tasks.reserve_item.delay("lamp")
    assert lines(path) == ["before_start render_thumbnail", "on_success 8", "after_return SUCCESS"]
    names = [name for word, name in receivers.heard if word == "prerun"]
    assert names.count(tasks.send_receipt.name) == 3
    assert ("success", 8) in receivers.heard and ("failure", "lamp") in receivers.heard
