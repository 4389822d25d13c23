"""Django's tasks are ours, too, and ours are Django's: called, composed, scheduled and read either way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from djtasks import AsyncResult, chain, chord, enqueue_many, group, send_task, shared_task, signature
from djtasks.backend import django_task
from djtasks.exceptions import ImproperlyConfigured
from djtasks.models import Message
from djtasks.tasks import registry, scheduled
from tests.contract import samples
from tests.contract.django import InvalidTask, TaskResultStatus, default_task_backend, task_backends
from tests.helpers_inprocess import run_until_empty

pytestmark = pytest.mark.django_db(transaction=True)


@shared_task(bind=True, name="tests.contract.ours", queue="ours", priority=3)
def ours(self: Any, x: int, y: int) -> list[Any]:
    return [self.request.id, x + y]


@shared_task(name="tests.contract.moment")
def moment() -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC)


# Django's, called our way


def test_name_is_the_path_of_the_function() -> None:
    assert samples.add.module_path == "tests.contract.samples.add"
    assert registry.get("tests.contract.samples.add").name == samples.add.module_path


@pytest.mark.parametrize(
    "send",
    [
        lambda: send_task("tests.contract.samples.add", (1, 2)),
        lambda: signature("tests.contract.samples.add", (1, 2)).delay(),
        lambda: samples.add.delay(1, 2),
        lambda: async_to_sync(samples.add.adelay)(1, 2),
        lambda: samples.add.delay_on_commit(1, 2),
        lambda: samples.add.apply_async((1,), {"y": 2}),
        lambda: samples.add.s(1).delay(2),
        lambda: samples.add.si(1, 2).delay(),
        lambda: enqueue_many([(samples.add, (1, 2))])[0],
    ],
)
def test_it_is_sent_our_way(send: Any) -> None:
    handle = send()
    run_until_empty()
    assert handle.get() == 3
    assert samples.add.get_result(handle.id).return_value == 3


def test_what_using_has_changed_counts_for_our_ways_too() -> None:
    later = timezone.now() + timedelta(hours=1)
    changed = samples.add.using(queue_name="night", priority=9, run_after=later)
    handles = [changed.delay(1, 2), changed.s(1, 2).delay(), *enqueue_many([(changed, (1, 2))])]
    rows = Message.objects.filter(pk__in=[handle.id for handle in handles])
    assert list(rows.values_list("queue", "priority", "due_at")) == [("night", 9, later)] * 3
    assert Message.objects.get(pk=changed.apply_async((1, 2), queue="day").id).queue == "day"


def test_it_takes_part_in_workflows() -> None:
    handles = [
        chain(samples.add.s(1, 2), samples.add_async.s(3))(),
        chord([samples.add.s(1, 2), samples.add.s(3, 4)], samples.echo.s())(),
        group(samples.add.s(1, 2), ours.s(1, 2))(),
    ]
    run_until_empty()
    assert [handle.get() for handle in handles[:2]] == [6, [[[3, 7]], {}]]
    assert handles[2].get()[0] == 3


def test_context_is_not_among_its_arguments() -> None:
    handle = chain(samples.add.s(1, 2), samples.look.s("b"))()
    run_until_empty()
    assert handle.get()[3] == [3, "b"]


def test_it_can_be_scheduled(nothing_declared: None) -> None:
    declare = scheduled.scheduled(3600, name="tests.contract.hourly", args=(1, 2))
    assert declare(samples.add) is samples.add
    entry, source = scheduled.declared()["tests.contract.hourly"]
    assert (source, entry.columns["task"], entry.args) == ("code", "tests.contract.samples.add", (1, 2))


def test_it_can_be_scheduled_in_the_settings(settings: Any) -> None:
    settings.DJTASKS = {"BEAT_SCHEDULE": {"sum": {"task": samples.add, "schedule": 60, "args": (1, 2)}}}
    assert scheduled.declared()["sum"][0].columns["task"] == "tests.contract.samples.add"


def test_only_tasks_can_be_scheduled() -> None:
    with pytest.raises(ImproperlyConfigured, match="is no task"):
        scheduled.scheduled(60)(samples.add.func)


def test_it_can_be_called_here_and_now() -> None:
    assert samples.add.call(1, 2) == 3
    assert registry.get("tests.contract.samples.add")(1, 2) == 3
    assert registry.get("tests.contract.samples.look")("a")[:2] == [1, ""]


def test_arguments_that_only_we_can_store_are_shown_as_they_are_stored() -> None:
    handle = samples.echo.delay(Decimal("1.5"))
    result = samples.echo.get_result(handle.id)
    assert result.args != [Decimal("1.5")] and "1.5" in str(result.args)


def test_spoilt_rows_can_be_read() -> None:
    result = samples.add.enqueue(1, 2)
    Message.objects.update(options='{"backend": 7}')
    result.refresh()
    Message.objects.update(args="{", kwargs="[1", options="[", errors="{")
    result.refresh()
    assert result.status == TaskResultStatus.READY


# Ours, called Django's way


def test_one_of_ours_is_enqueued_in_djangos_words() -> None:
    result = django_task(ours).enqueue(1, 2)
    assert (result.task.module_path, result.task.name, result.task.queue_name) == (
        "tests.contract.ours",
        "ours",
        "ours",
    )
    assert result == default_task_backend.get_result(result.id)
    run_until_empty()
    result.refresh()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, [result.id, 3])
    assert AsyncResult(result.id).get() == [result.id, 3]


def test_backend_takes_one_of_ours_as_it_is() -> None:
    result = default_task_backend.enqueue(ours, (1,), {"y": 2})
    row = Message.objects.get(pk=result.id)
    assert (row.task, row.queue, row.priority) == ("tests.contract.ours", "ours", 3)


def test_one_of_ours_is_called_as_django_calls_its_own() -> None:
    assert django_task(ours).call(1, 2) == [None, 3]


def test_one_of_ours_is_read_as_a_result_of_djangos() -> None:
    handle = moment.delay()
    run_until_empty()
    assert default_task_backend.get_result(handle.id).return_value == datetime(2030, 1, 1, tzinfo=UTC)
    assert django_task(moment).get_result(handle.id).attempts == 1


def test_both_decorators_make_one_task() -> None:
    result, handle = samples.both.enqueue(1), samples.both.delay(2)
    assert samples.both.module_path == "tests.contract.both"
    assert registry.get("tests.contract.both").max_retries == 7
    run_until_empty()
    result.refresh()
    assert (result.return_value, handle.get()) == (-1, -2)


def test_queue_that_the_backend_does_not_know_is_refused(settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default"]}}
    with pytest.raises(InvalidTask, match="Queue 'ours'"):
        task_backends["default"].enqueue(ours, (1, 2), {})
