"""What workers make of Django's tasks, and what their results tell of it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from djtasks import AsyncResult
from djtasks.broker.settle import settle
from djtasks.domain.outcomes import Settlement
from djtasks.exceptions import TaskRevokedError, WorkerLostError
from djtasks.models import Message
from djtasks.models.clock import Now
from djtasks.testing.inline import InlineWorker
from djtasks.worker import judge
from tests.contract import samples
from tests.contract.django import (
    LOGGER,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_finished,
    task_started,
)
from tests.helpers_inprocess import run_one, run_until_empty

pytestmark = pytest.mark.django_db(transaction=True)


def test_success_tells_all_there_is_to_tell() -> None:
    result = samples.add.enqueue(1, 2)
    run_until_empty()
    result.refresh()
    assert (result.status, result.is_finished, result.return_value) == (TaskResultStatus.SUCCESSFUL, True, 3)
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert result.last_attempted_at == result.started_at
    assert (result.attempts, result.errors) == (1, [])
    assert result.worker_ids == [str(worker_of(result))]


def test_failure_tells_why() -> None:
    result = samples.fail.enqueue("sold out")
    run_until_empty()
    result.refresh()
    assert (result.status, result.is_finished, result.attempts) == (TaskResultStatus.FAILED, True, 1)
    (error,) = result.errors
    assert error.exception_class is ValueError
    assert error.traceback.endswith("ValueError: sold out\n") and "in fail" in error.traceback
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_coroutine_function_runs() -> None:
    result = samples.add_async.enqueue(1, 2)
    run_until_empty()
    result.refresh()
    assert result.return_value == 3


def test_value_is_json() -> None:
    result, other = samples.echo.enqueue(1, a=2), samples.give_what_is_no_json.enqueue()
    run_until_empty()
    result.refresh()
    other.refresh()
    assert result.return_value == [[1], {"a": 2}]
    assert other.status == TaskResultStatus.FAILED
    assert other.errors[0].exception_class is TypeError


def test_every_attempt_has_a_worker_and_every_failed_one_an_error() -> None:
    result = samples.fail_at_first.enqueue(2)
    first, second, third = (attempt(result) for _ in range(3))
    assert (first.status, first.attempts, len(first.errors)) == (TaskResultStatus.READY, 1, 1)
    assert (second.status, second.attempts, len(second.errors)) == (TaskResultStatus.READY, 2, 2)
    assert (third.status, third.attempts, len(third.errors)) == (TaskResultStatus.SUCCESSFUL, 3, 2)
    assert third.return_value == [3, ["builtins.ValueError"] * 2]
    assert len(set(third.worker_ids)) == 3
    assert third.started_at == first.started_at < second.last_attempted_at < third.last_attempted_at
    assert [error.traceback.splitlines()[-1] for error in third.errors] == [
        "ValueError: attempt 1",
        "ValueError: attempt 2",
    ]


def test_body_may_ask_for_another_attempt() -> None:
    result, other = samples.ask_again.enqueue(2), samples.ask_again.enqueue(3)
    run_until_empty()
    result.refresh()
    other.refresh()
    assert (result.return_value, result.attempts) == (2, 3)
    assert (other.status, other.attempts) == (TaskResultStatus.FAILED, 3)


def test_last_attempt_that_fails_counts_once() -> None:
    result = samples.fail_at_first.enqueue(9)
    run_until_empty()
    result.refresh()
    assert (result.status, result.attempts, len(result.errors)) == (TaskResultStatus.FAILED, 4, 4)


def test_context_tells_of_this_attempt() -> None:
    result, other = samples.look.enqueue("a", "b"), samples.look_async.enqueue()
    run_until_empty()
    result.refresh()
    other.refresh()
    assert result.return_value == [1, result.id, "RUNNING", ["a", "b"], result.worker_ids, 0]
    assert other.return_value == 1


def test_what_is_held_and_has_begun_is_running() -> None:
    result = samples.add.enqueue(1, 2)
    worker = InlineWorker()
    (message,) = worker.reserve()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 1)
    assert result.worker_ids == [worker.holder.worker_id]
    assert result.started_at is not None and result.finished_at is None
    worker.deliver(message)
    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL


def test_late_task_of_a_lost_worker_is_attempted_again() -> None:
    result = samples.add_late.enqueue(1, 2)
    dead = lose()
    result.refresh()
    assert result.status == TaskResultStatus.READY
    run_until_empty()
    result.refresh()
    assert (result.return_value, result.attempts, result.worker_ids[0]) == (3, 2, dead)
    assert [error.exception_class for error in result.errors] == [WorkerLostError]
    assert result.enqueued_at <= result.started_at < result.last_attempted_at <= result.finished_at


def test_task_that_was_lost_for_good_has_one_attempt_and_one_error() -> None:
    result = samples.add.enqueue(1, 2)
    dead = lose()
    run_until_empty()
    result.refresh()
    assert (result.status, result.worker_ids) == (TaskResultStatus.FAILED, [dead])
    assert [error.exception_class for error in result.errors] == [WorkerLostError]


def test_task_whose_pool_died_has_begun() -> None:
    result = samples.add.enqueue(1, 2)
    dead = die_within()
    result.refresh()
    assert (result.status, result.worker_ids) == (TaskResultStatus.FAILED, [dead])
    assert result.last_attempted_at is not None
    assert [error.exception_class for error in result.errors] == [WorkerLostError]


def test_late_task_whose_pool_died_is_attempted_again() -> None:
    result = samples.add_late.enqueue(1, 2)
    dead = die_within()
    run_until_empty()
    result.refresh()
    assert (result.return_value, result.attempts, result.worker_ids[0]) == (3, 2, dead)


def test_revoked_task_has_failed_without_an_attempt() -> None:
    result = samples.add.enqueue(1, 2)
    AsyncResult(result.id).revoke()
    run_until_empty()
    result.refresh()
    assert (result.status, result.attempts, result.started_at) == (TaskResultStatus.FAILED, 0, None)
    assert [error.exception_class for error in result.errors] == [TaskRevokedError]


def test_revoked_retry_keeps_its_attempt() -> None:
    result = samples.fail_at_first.enqueue(9)
    attempt(result)
    AsyncResult(result.id).revoke()
    run_until_empty()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 1)
    assert [error.exception_class for error in result.errors] == [ValueError, TaskRevokedError]


def test_delay_is_heeded() -> None:
    result = samples.add.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(1, 2)
    assert run_until_empty(patient=True) == []
    result.refresh()
    assert result.status == TaskResultStatus.READY


def test_higher_priority_runs_first() -> None:
    low, high = samples.add.using(priority=-7).enqueue(1, 2), samples.add.using(priority=7).enqueue(1, 2)
    run_one()
    low.refresh()
    high.refresh()
    assert (low.is_finished, high.is_finished) == (False, True)


def test_ignored_result_does_not_exist_afterwards() -> None:
    result = samples.forget.enqueue()
    result.refresh()
    run_until_empty()
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()


# What is told


def test_signals_tell_of_each_attempt_and_of_the_end_once_it_is_recorded() -> None:
    told: list[Any] = []

    def hear_start(sender: Any, task_result: Any, **kwargs: Any) -> None:
        told.append((sender, task_result.status, task_result.attempts))

    def hear_end(sender: Any, task_result: Any, **kwargs: Any) -> None:
        recorded = samples.fail_at_first.get_result(task_result.id)
        told.append((sender, task_result.status, task_result.attempts, recorded.return_value))
        assert recorded.worker_ids == task_result.worker_ids
        assert recorded.errors == task_result.errors

    with hearing(hear_start, hear_end):
        samples.fail_at_first.enqueue(1)
        run_until_empty()
    sender = type(task_backends["default"])
    value = [2, ["builtins.ValueError"]]
    running, successful = TaskResultStatus.RUNNING, TaskResultStatus.SUCCESSFUL
    assert told == [(sender, running, 1), (sender, running, 2), (sender, successful, 2, value)]


def test_last_failure_is_told_of_with_each_error_once() -> None:
    told: list[Any] = []

    def hear(task_result: Any, **kwargs: Any) -> None:
        told.append((task_result.status, task_result.worker_ids, task_result.errors))

    with hearing(hear_end=hear):
        result = samples.fail_at_first.enqueue(9)
        run_until_empty()
    result.refresh()
    assert told == [(TaskResultStatus.FAILED, result.worker_ids, result.errors)]
    assert len(result.errors) == 4


def test_who_hears_of_a_failure_finds_the_exception() -> None:
    told: list[Any] = []

    def hear(task_result: Any, **kwargs: Any) -> None:
        told.append((task_result.status, task_result.errors[-1].exception_class, str(sys.exc_info()[1])))

    with hearing(hear_end=hear):
        samples.fail.enqueue("sold out")
        run_until_empty()
    assert told == [(TaskResultStatus.FAILED, ValueError, "sold out")]


def test_end_that_no_body_tells_is_told_of_as_it_is_recorded() -> None:
    told: list[Any] = []

    def hear(sender: Any, task_result: Any, **kwargs: Any) -> None:
        told.append((sender, task_result, type(sys.exc_info()[1])))

    result = samples.add.enqueue(1, 2)
    with hearing(hear_end=hear):
        die_within()
    result.refresh()
    assert told == [(type(task_backends["default"]), result, WorkerLostError)]


def test_receiver_that_raises_harms_no_task() -> None:
    def raise_it(**kwargs: Any) -> None:
        raise RuntimeError("not I")

    with hearing(raise_it, raise_it):
        result = samples.add.enqueue(1, 2)
        run_until_empty()
    result.refresh()
    assert result.return_value == 3


def test_log_has_a_line_for_each_start_and_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        results = [samples.add.enqueue(1, 2), samples.fail.enqueue("sold out")]
        run_until_empty()
    lines = [record for record in caplog.records if record.name == LOGGER]
    expected = [
        f"Task id={result.id} path={result.task.module_path} state={state}"
        for result, end in zip(results, ("SUCCESSFUL", "FAILED"), strict=True)
        for state in ("RUNNING", end)
    ]
    assert [line.getMessage() for line in lines] == expected
    assert [line.levelname for line in lines] == ["INFO", "INFO", "INFO", "ERROR"]
    assert lines[-1].exc_info is not None and str(lines[-1].exc_info[1]) == "sold out"


def test_secrets_are_in_no_line_and_in_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        result = samples.log_in.enqueue("open sesame")
        run_until_empty()
    result.refresh()
    assert any(record.name == LOGGER and record.levelname == "ERROR" for record in caplog.records)
    assert "sesame" not in caplog.text + result.errors[0].traceback


def no_matter(**kwargs: Any) -> None: ...


@contextmanager
def hearing(hear_start: Callable[..., None] = no_matter, hear_end: Callable[..., None] = no_matter) -> Iterator[None]:
    task_started.connect(hear_start)
    task_finished.connect(hear_end)
    try:
        yield
    finally:
        task_started.disconnect(hear_start)
        task_finished.disconnect(hear_end)


def attempt(result: Any) -> Any:
    """Run it once, and read it anew."""
    Message.objects.filter(pk=result.id).update(due_at=Now())
    assert run_one() is not None
    return result.task.get_result(result.id)


def lose() -> str:
    """Let a worker begin the only message and vanish; return its id."""
    worker = InlineWorker()
    assert worker.reserve()
    Message.objects.update(started_at=Now(), leased_until=Now() - timedelta(seconds=1))
    return worker.holder.worker_id


def die_within() -> str:
    """Let the process that runs the only message die, and its worker tell of that; return the worker's id."""
    worker = InlineWorker()
    (message,) = worker.reserve()
    outcome = judge.after_loss(message, "it died", worker.holder)
    settle(worker.vendor, [Settlement(message.token, outcome, None, message)])
    worker.aftermath.tell(message, outcome)
    return worker.holder.worker_id


def worker_of(result: Any) -> Any:
    return AsyncResult(result.id)._record().worker  # type: ignore[union-attr]
