"""The handle of a task: its states, its facts, its result, and what becomes of it (RES)."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from djtasks import AsyncResult, Task, allow_join_result, conf, shared_task
from djtasks.broker.purge import purge_results
from djtasks.broker.vendors import shared_vendor
from djtasks.exceptions import ResultNotFound, TaskRevokedError, TimeoutError
from djtasks.models import Message, Result
from djtasks.testing.inline import HOSTNAME, InlineWorker
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, fail, fail_ignored, note, ran

in_database = pytest.mark.django_db(transaction=True)
UNKNOWN = "018f4c1e-0000-7000-8000-000000000009"


# The handle


def test_handle_is_its_id() -> None:
    one, same, other = AsyncResult(UNKNOWN), AsyncResult(uuid.UUID(UNKNOWN)), AsyncResult(uuid.uuid4())
    assert one == same != other and len({one, same, other}) == 2
    assert (one.id, one.task_id, str(one)) == (UNKNOWN, UNKNOWN, UNKNOWN)
    assert repr(one) == f"<AsyncResult: {UNKNOWN}>"


@pytest.mark.parametrize("given", ["daily-report", "", 7, None])
def test_id_that_is_no_uuid_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="a task id is a UUID"):
        AsyncResult(given)


# States and facts


@in_database
def test_task_goes_through_its_states() -> None:
    """RES-1."""
    result = add.delay(1, 2)
    states = [result.state]
    worker = InlineWorker()
    [message] = worker.reserve()
    states.append(result.state)
    assert not result.ready()
    worker.deliver(message)
    states.append(result.state)
    assert states == ["PENDING", "STARTED", "SUCCESS"] and result.status == "SUCCESS"
    assert (result.ready(), result.successful(), result.failed()) == (True, True, False)


@in_database
def test_end_that_only_a_newer_version_knows_is_shown_and_left_alone(client: Client) -> None:
    """E15: by handles, by the admin, and by workers, which purge it in its time and not before."""
    row = Result.objects.create(task="newer.task", state="DISCARDED", value={"why": "full"}, errors=[{"kind": "newer"}])
    result = AsyncResult(row.pk)
    assert (result.state, result.ready(), result.successful(), result.failed()) == ("DISCARDED", True, False, False)
    assert result.get(timeout=0) == result.result == {"why": "full"}
    assert result.revoke() == "too_late"
    add.delay(1, 2)
    run_until_empty()
    purge_results(shared_vendor(), pause=lambda: False)
    client.force_login(User.objects.create_superuser("root", "", "x"))
    for page in ("", "?state=DISCARDED", f"{row.pk}/change/"):
        answer = client.get(f"/admin/djtasks/task/{page}")
        assert answer.status_code == 200 and b"DISCARDED" in answer.content
    assert Result.objects.filter(pk=row.pk, state="DISCARDED").exists()


@in_database
def test_state_and_options_that_only_a_newer_version_knows_keep_nothing_from_running(client: Client) -> None:
    """E15."""
    result = add.delay(1, 2)
    Message.objects.update(state="HALF_DONE", options={"newer": 7}, errors=[{"kind": "newer"}])
    assert (result.state, result.ready()) == ("PENDING", False)
    client.force_login(User.objects.create_superuser("root", "", "x"))
    assert b"HALF_DONE" in client.get(f"/admin/djtasks/task/{result.id}/change/").content
    run_until_empty()
    assert result.get() == 3 and result.errors == [{"kind": "newer"}]


@in_database
def test_delayed_task_is_pending() -> None:
    """RES-1."""
    assert add.apply_async((1, 2), countdown=600).state == "PENDING"


@in_database
def test_reserved_late_task_is_pending_until_its_body_begins() -> None:
    """RES-1."""
    result = shared_task(add.run, name="late", acks_late=True).delay(1, 2)
    assert InlineWorker().reserve()
    assert result.state == "PENDING"


@in_database
def test_failed_task_is_ready_too() -> None:
    """RES-1."""
    result = fail.delay()
    run_until_empty()
    assert (result.state, result.ready(), result.successful(), result.failed()) == ("FAILURE", True, False, True)


@in_database
def test_facts_of_a_message() -> None:
    """RES-9."""
    result = AsyncResult(add.apply_async((1,), {"y": 2}, queue="mail").id)
    assert (result.name, result.args, result.kwargs, result.queue) == (add.name, [1], {"y": 2}, "mail")
    assert (result.retries, result.deliveries, result.worker, result.date_done) == (0, 0, None, None)
    assert (result.result, result.info, result.traceback, result.errors) == (None, None, None, [])
    assert result.exists() and not result.ready()


@in_database
def test_facts_of_a_success() -> None:
    """RES-9."""
    result = AsyncResult(add.apply_async((1,), {"y": 2}, queue="mail").id)
    run_until_empty()
    assert (result.name, result.args, result.kwargs, result.queue) == (add.name, [1], {"y": 2}, "mail")
    assert (result.retries, result.deliveries, result.worker) == (0, 1, HOSTNAME)
    assert (result.result, result.info, result.traceback, result.errors) == (3, 3, None, [])
    assert result.date_done is not None and abs(result.date_done - timezone.now()) < timedelta(minutes=1)


@in_database
def test_facts_of_a_failure() -> None:
    """RES-9."""
    result = AsyncResult(fail.delay("no").id)
    run_until_empty()
    assert isinstance(result.result, ValueError) and str(result.info) == "no"
    assert str(result.traceback).startswith("Traceback") and str(result.traceback).endswith("ValueError: no\n")
    (error,) = result.errors
    assert (error["kind"], error["type"], error["message"]) == ("failure", "builtins.ValueError", "no")
    assert error["traceback"] == result.traceback and error["hostname"] == HOSTNAME


@in_database
def test_facts_of_what_nobody_knows() -> None:
    """RES-8, RES-9."""
    result = AsyncResult(UNKNOWN, task_name="some.name")
    assert not result.exists()
    assert (result.state, result.ready(), result.name) == ("PENDING", False, "some.name")
    assert (result.result, result.args, result.kwargs, result.queue, result.worker) == (None,) * 5
    assert (result.retries, result.deliveries, result.errors, result.children) == (0, 0, [], [])
    assert (result.traceback, result.date_done, result.parent) == (None, None, None)


@in_database
def test_worker_that_holds_a_message_is_told_by_its_id() -> None:
    """RES-9."""
    result = add.delay(1, 2)
    worker = InlineWorker()
    assert worker.reserve()
    assert result.worker == worker.holder.worker_id


@in_database
def test_what_has_ended_is_read_once(django_assert_num_queries: Callable[[int], Any]) -> None:
    result = add.delay(1, 2)
    run_until_empty()
    assert result.ready()
    with django_assert_num_queries(0):
        assert (result.get(), result.state, result.result, result.name) == (3, "SUCCESS", 3, add.name)


# Waiting for the value


@in_database
def test_value_is_returned() -> None:
    """RES-4."""
    result = add.delay(1, 2)
    run_until_empty()
    assert result.get() == result.get(timeout=0) == result.wait() == 3


@in_database
def test_none_is_a_value() -> None:
    """RES-4."""
    result = note.delay("x")
    run_until_empty()
    assert result.get() is None and result.successful() and ran.pop() == "x"


@in_database
def test_error_of_the_task_is_raised() -> None:
    """RES-4."""
    result = fail.delay("no")
    run_until_empty()
    with pytest.raises(ValueError, match=r"^no$"):
        result.get()


@in_database
def test_error_of_the_task_is_returned_where_it_is_not_to_be_raised() -> None:
    """RES-4."""
    result = fail.delay("no")
    run_until_empty()
    error = result.get(propagate=False)
    assert isinstance(error, ValueError) and str(error) == "no"


@in_database
def test_id_that_nobody_knows_is_an_error_at_once() -> None:
    """RES-8."""
    with pytest.raises(ResultNotFound, match=f"no task has the id {UNKNOWN}: it never was sent") as caught:
        AsyncResult(UNKNOWN).get()
    assert isinstance(caught.value, LookupError)


@in_database
def test_time_that_runs_out_is_an_error_and_leaves_the_task_alone() -> None:
    """RES-4."""
    result = add.delay(1, 2)
    with pytest.raises(TimeoutError, match=f"{result.id} has not ended within 0.01 seconds") as caught:
        result.get(timeout=0.01)
    assert isinstance(caught.value, builtins.TimeoutError)
    run_until_empty()
    assert result.get() == 3


# Inside a task


@in_database
def test_wait_inside_a_task_is_refused() -> None:
    """RES-5."""

    @shared_task
    def body() -> None:
        add.delay(1, 2).get()

    result = body.delay()
    run_until_empty("default")
    with pytest.raises(RuntimeError, match="never wait for a result inside a task"):
        result.get()


@pytest.mark.parametrize("how", ["allow_join_result", "disable_sync_subtasks"])
@in_database
def test_wait_inside_a_task_can_be_allowed(how: str) -> None:
    """RES-5."""

    @shared_task
    def body(awaited: str) -> int:
        if how == "allow_join_result":
            with allow_join_result():
                return int(AsyncResult(awaited).get())
        return int(AsyncResult(awaited).get(disable_sync_subtasks=False))

    ended = add.delay(1, 2)
    run_until_empty()
    result = body.delay(ended.id)
    run_until_empty()
    assert result.get() == 3


@in_database
def test_permission_to_wait_ends_with_its_block() -> None:
    """RES-5."""

    @shared_task
    def body(awaited: str) -> None:
        with allow_join_result():
            AsyncResult(awaited).get()
        AsyncResult(awaited).get()

    ended = add.delay(1, 2)
    run_until_empty()
    result = body.delay(ended.id)
    run_until_empty()
    assert isinstance(result.result, RuntimeError)


@in_database
def test_body_that_is_called_directly_may_wait() -> None:
    """RES-5, TASK-5."""
    ended = add.delay(1, 2)
    run_until_empty()

    @shared_task
    def body() -> int:
        return int(ended.get())

    assert body() == 3


# Results that nobody wants


@pytest.mark.parametrize(
    "send",
    [
        lambda: shared_task(add.run, name="ignoring", ignore_result=True).delay(1, 2),
        lambda: add.apply_async((1, 2), ignore_result=True),
    ],
    ids=["task", "call"],
)
@in_database
def test_ignored_result_is_none_at_once_and_is_not_kept(send: Callable[[], AsyncResult]) -> None:
    """RES-7."""
    result = send()
    assert result.ignored and result.get() is None
    run_until_empty()
    assert result.get() is None and not result.exists() and not Result.objects.exists()


@in_database
def test_call_may_want_the_result_that_its_task_ignores() -> None:
    """RES-7."""
    result = shared_task(add.run, name="ignoring", ignore_result=True).apply_async((1, 2), ignore_result=False)
    run_until_empty()
    assert not result.ignored and result.get() == 3


@in_database
def test_ignored_error_is_not_kept() -> None:
    """RES-7."""
    result = fail_ignored.delay()
    run_until_empty()
    assert not result.exists()


@in_database
def test_errors_may_be_kept_where_results_are_ignored() -> None:
    """RES-7."""
    keeping = shared_task(fail.run, name="keeping", ignore_result=True, store_errors_even_if_ignored=True)
    result = keeping.delay("no")
    run_until_empty()
    assert result.get() is None
    assert result.state == "FAILURE" and str(result.result) == "no"


@in_database
def test_project_may_do_without_results(settings: Any) -> None:
    """RES-7, mission 6."""
    settings.DJTASKS = {"TASK_IGNORE_RESULT": True}
    result = add.delay(1, 2)
    run_until_empty()
    assert result.get() is None and not Result.objects.exists()


# Keeping


@pytest.mark.parametrize(
    ("expires", "kept"), [(86400, 86400), (60, 60), (timedelta(hours=1), 3600), (0, None), (None, None)]
)
@in_database
def test_results_are_kept_for_their_time(settings: Any, expires: Any, kept: int | None) -> None:
    """RES-14."""
    settings.DJTASKS = {"RESULT_EXPIRES": expires}
    add.delay(1, 2)
    run_until_empty()
    result = Result.objects.get()
    lasts = None if result.expires_at is None else round((result.expires_at - result.finished_at).total_seconds())
    assert lasts == kept


def test_results_are_kept_for_a_day() -> None:
    """RES-14."""
    assert conf.settings.result_expires_seconds == 86400


@in_database
def test_forgotten_result_is_gone() -> None:
    """RES-10."""
    result = add.delay(1, 2)
    run_until_empty()
    assert result.get() == 3
    result.forget()
    assert not result.exists() and not Result.objects.exists()
    with pytest.raises(ResultNotFound):
        result.get()


@in_database
def test_result_is_forgotten_with_those_of_its_parents() -> None:
    """RES-10."""
    parent, other = add.delay(1, 2), add.delay(3, 4)
    child = AsyncResult(add.delay(5, 6).id, parent=parent)
    run_until_empty()
    child.forget()
    assert [result.exists() for result in (child, parent, other)] == [False, False, True]


# Revoking


@pytest.mark.parametrize("options", [{}, {"countdown": 600}], ids=["ready", "delayed"])
@in_database
def test_revoked_task_never_begins(options: dict[str, Any]) -> None:
    """WORK-9, G6."""
    result = note.apply_async(("never",), **options)
    assert result.revoke() == "revoked"
    assert run_until_empty() == [] and ran == []
    assert (result.state, result.ready(), result.failed()) == ("REVOKED", True, False)
    with pytest.raises(TaskRevokedError, match="revoked"):
        result.get()
    assert isinstance(result.get(propagate=False), TaskRevokedError) and isinstance(result.result, TaskRevokedError)


@in_database
def test_task_that_may_be_running_is_asked_to_stop() -> None:
    """WORK-9, G6."""
    result = add.delay(1, 2)
    worker = InlineWorker()
    [message] = worker.reserve()
    assert result.revoke() == result.revoke() == "requested"
    assert Message.objects.get().revoked_at is not None
    worker.deliver(message)
    assert result.get() == 3


@in_database
def test_late_task_that_was_revoked_before_it_began_ends_revoked() -> None:
    """WORK-9."""
    result = shared_task(add.run, name="late", acks_late=True).delay(1, 2)
    worker = InlineWorker()
    assert worker.reserve()
    assert result.revoke() == "requested"
    worker.die()
    run_until_empty()
    assert result.state == "REVOKED"


@in_database
def test_task_that_has_ended_cannot_be_revoked() -> None:
    """WORK-9."""
    result = add.delay(1, 2)
    run_until_empty()
    assert result.revoke() == "too_late" and result.get() == 3


@in_database
def test_task_that_nobody_knows_cannot_be_revoked() -> None:
    """WORK-9."""
    assert AsyncResult(UNKNOWN).revoke() == "too_late"


@in_database
def test_expired_task_reads_revoked() -> None:
    """CALL-4."""
    result = note.apply_async(("never",), expires=-1)
    run_until_empty()
    assert ran == [] and result.state == "REVOKED" and result.errors[0]["reason"] == "expired"
    with pytest.raises(TaskRevokedError, match="expired"):
        result.get()


@in_database
def test_bound_task_can_revoke_another() -> None:
    """WORK-9."""

    @shared_task(bind=True)
    def body(self: Task, other: str) -> str:
        return AsyncResult(other).revoke()

    other = note.apply_async(("never",), countdown=600)
    result = body.delay(other.id)
    run_until_empty(patient=True)
    assert result.get() == "revoked" and other.state == "REVOKED"
