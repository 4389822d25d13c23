"""Django's ``enqueue`` makes the row that ``delay`` makes, in the caller's transaction."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from djtasks.models import Message, Result
from tests.contract import samples
from tests.contract.django import (
    LOGGER,
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    default_task_backend,
    task,
    task_backends,
    task_enqueued,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_backend_can_do_all_that_django_asks_about() -> None:
    backend = task_backends["default"]
    flags = ("supports_defer", "supports_async_task", "supports_get_result", "supports_priority")
    assert [getattr(backend, flag) for flag in flags] == [True] * 4


def test_result_is_ready_and_what_is_read_is_equal() -> None:
    result = samples.add.enqueue(1, y=2)
    assert (result.status, result.is_finished, result.attempts) == (TaskResultStatus.READY, False, 0)
    assert (result.task, result.args, result.kwargs, result.backend) == (samples.add, [1], {"y": 2}, "default")
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert (result.errors, result.worker_ids) == ([], [])
    assert result.enqueued_at == Message.objects.get(pk=result.id).enqueued_at
    assert result == samples.add.get_result(result.id) == default_task_backend.get_result(result.id)
    with pytest.raises(ValueError, match="has not finished yet"):
        _ = result.return_value


def test_row_is_the_one_that_delay_makes() -> None:
    theirs = Message.objects.filter(pk=samples.add_first.enqueue(1, 2).id).values().get()
    ours = Message.objects.filter(pk=samples.add_first.delay(1, 2).id).values().get()
    own = ("id", "enqueued_at", "due_at")
    assert {**theirs, **{name: ours[name] for name in own}} == ours
    assert (ours["queue"], ours["priority"], ours["options"]) == ("sums", 5, {})


def test_it_takes_one_insert_and_no_query() -> None:
    with CaptureQueriesContext(connection) as seen:
        samples.add.enqueue(1, 2)
    words = [query["sql"].split()[0] for query in seen.captured_queries]
    assert [word for word in words if word not in ("BEGIN", "COMMIT")] == ["INSERT"]


def test_message_joins_the_transaction() -> None:
    with transaction.atomic():
        result = samples.add.enqueue(1, 2)
        assert samples.add.get_result(result.id) == result
        transaction.set_rollback(True)
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()


def test_using_changes_queue_priority_and_time() -> None:
    moment = timezone.now() + timedelta(hours=1)
    changed = samples.add.using(priority=-3, queue_name="night", run_after=moment)
    result = changed.enqueue(1, 2)
    row = Message.objects.get(pk=result.id)
    assert (row.priority, row.queue, row.due_at) == (-3, "night", moment)
    assert result.task == changed == samples.add.get_result(result.id).task
    assert (samples.add.priority, samples.add.queue_name, samples.add.run_after) == (0, "default", None)


def test_time_may_be_said_from_now() -> None:
    before = timezone.now()
    result = samples.add.using(run_after=timedelta(hours=1)).enqueue(1, 2)
    hour = timedelta(hours=1)
    assert before + hour <= Message.objects.get(pk=result.id).due_at <= timezone.now() + hour


def test_arguments_are_json_and_nothing_else() -> None:
    result = samples.echo.enqueue((1, {"a": b"b"}), c=(2,))
    assert (result.args, result.kwargs) == ([[1, {"a": "b"}]], {"c": [2]})
    assert Message.objects.get(pk=result.id).args == [[1, {"a": "b"}]]
    for value in (datetime.now(tz=UTC), object(), {1, 2}):
        with pytest.raises(TypeError, match="Unsupported type"):
            samples.echo.enqueue(value)
    assert Message.objects.count() == 1


def test_wrong_arguments_are_refused_where_they_are_given() -> None:
    with pytest.raises(TypeError, match="cannot be called like this"):
        samples.add.enqueue(1, 2, 3)
    with pytest.raises(TypeError, match="cannot be called like this"):
        samples.look.enqueue(context=1)
    samples.look.enqueue("the context is not among them")


@pytest.mark.parametrize("changes", [{"priority": 101}, {"priority": 1.5}, {"queue_name": "no queue"}])
def test_what_cannot_be_meant_is_an_invalid_task(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        samples.add.using(**changes)


def test_naive_moment_is_an_invalid_task() -> None:
    with pytest.raises(InvalidTask, match="aware"):
        samples.add.using(run_after=datetime(2030, 1, 1))


def test_only_functions_of_modules_can_be_tasks() -> None:
    for function in (any, lambda: None, test_only_functions_of_modules_can_be_tasks.__call__):
        with pytest.raises(InvalidTask, match="module level"):
            task(function)


def test_queues_of_the_settings_are_asked_again_when_it_is_enqueued(settings: Any) -> None:
    changed = samples.add.using(queue_name="night")
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default"]}}
    with pytest.raises(InvalidTask, match="'night' is not valid"):
        changed.enqueue(1, 2)


def test_result_is_read_whatever_the_queues_are_today(settings: Any) -> None:
    result = samples.add.using(queue_name="night").enqueue(1, 2)
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default"]}}
    assert samples.add.get_result(result.id).task.queue_name == "night"


@pytest.mark.parametrize("task_id", ["123", "", "\0", "01a223ed-ea26-7b30-aede-11e8545aa95a", None, 7])
def test_unknown_id_does_not_exist(task_id: Any) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        default_task_backend.get_result(task_id)
    with pytest.raises(TaskResultDoesNotExist):
        async_to_sync(samples.add.aget_result)(task_id)


def test_result_of_another_task_does_not_match() -> None:
    with pytest.raises(TaskResultMismatch):
        samples.add_first.get_result(samples.add.enqueue(1, 2).id)


def test_task_that_is_not_known_here_does_not_exist() -> None:
    result = samples.add.enqueue(1, 2)
    Message.objects.update(task="shop.tasks.gone")
    with pytest.raises(TaskResultDoesNotExist, match=r"shop\.tasks\.gone"):
        result.refresh()


def test_it_works_from_coroutines() -> None:
    async def play() -> None:
        result = await samples.add_async.aenqueue(1, 2)
        assert result == await samples.add_async.aget_result(result.id)
        await result.arefresh()
        assert result.status == TaskResultStatus.READY

    async_to_sync(play)()


def test_signal_and_log_tell_of_it(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []

    def hear(sender: Any, task_result: Any, **kwargs: Any) -> None:
        heard.append((sender, task_result, Message.objects.filter(pk=task_result.id).exists()))

    task_enqueued.connect(hear)
    try:
        with caplog.at_level(logging.DEBUG, LOGGER):
            result = samples.add.enqueue(1, 2)
    finally:
        task_enqueued.disconnect(hear)
    assert heard == [(type(task_backends["default"]), result, True)]
    assert [record.getMessage() for record in caplog.records if record.name == LOGGER] == [
        f"Task id={result.id} path=tests.contract.samples.add enqueued backend=default"
    ]


def test_receiver_that_raises_harms_nobody() -> None:
    def raise_it(**kwargs: Any) -> None:
        raise RuntimeError("not I")

    task_enqueued.connect(raise_it)
    try:
        result = samples.add.enqueue(1, 2)
    finally:
        task_enqueued.disconnect(raise_it)
    assert Message.objects.filter(pk=result.id).exists()


@pytest.mark.parametrize(("sample", "value"), [(samples.add, 3), (samples.add_async, 3)])
def test_where_everything_is_eager_it_has_run(settings: Any, sample: Any, value: int) -> None:
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True}
    result = sample.enqueue(1, 2)
    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, value, 1)
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert not Message.objects.exists()


def test_eager_failure_has_its_errors(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True}
    result = samples.fail_at_first.enqueue(9)
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 4)
    assert [error.exception_class for error in result.errors] == [ValueError] * 4


def test_second_backend_is_remembered(settings: Any) -> None:
    settings.TASKS = {**settings.TASKS, "other": settings.TASKS["default"]}
    result = samples.add.using(backend="other").enqueue(1, 2)
    read = samples.add.get_result(result.id)
    assert (result.backend, read.backend, read.task.backend) == ("other",) * 3
    assert result == read
    assert task_backends["other"].enqueue(samples.add, (1, 2), {}).task.backend == "other"


def test_time_zones_may_be_off(settings: Any) -> None:
    settings.USE_TZ = False
    connection.close()
    try:
        result = samples.add.using(run_after=datetime(2040, 1, 1)).enqueue(1, 2)
        assert timezone.is_naive(result.enqueued_at)
        assert result == samples.add.get_result(result.id)
        assert Message.objects.get(pk=result.id).due_at == datetime(2040, 1, 1)
    finally:
        connection.close()


def test_nothing_is_left_of_what_could_not_be_stored() -> None:
    with pytest.raises(TypeError, match="bytes"):
        samples.echo.enqueue("x" * 2_000_000)
    assert not Message.objects.exists() and not Result.objects.exists()
