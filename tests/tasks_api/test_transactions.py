"""A message is part of its caller's transaction: there if that commits, and never there if it does not (G1, J)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import DatabaseError, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, TestCase
from django.urls import path

from djtasks import AsyncResult, enqueue_many, send_task, shared_task
from djtasks.exceptions import ResultNotFound
from djtasks.models import Message
from tests.helpers_inprocess import private, run_until_empty
from tests.tasks_api.samples import add, note, ran

SENDERS: list[Callable[[], Any]] = [
    lambda: add.delay(1, 2),
    lambda: add.delay_on_commit(1, 2),
    lambda: add.apply_async_on_commit((1, 2)),
    lambda: send_task(add.name, (1, 2)),
    lambda: enqueue_many([(add, (1, 2))])[0],
    lambda: add.apply_async((1, 2), task_id="018f4c1e-0000-7000-8000-000000000001"),
]


def sign_up(request: HttpRequest) -> HttpResponse:
    Group.objects.create(name="member")
    result = add.delay(1, 2)
    if request.GET:
        raise LookupError("after the message was sent")
    return HttpResponse(result.id)


urlpatterns = [path("sign-up/", sign_up)]


class Undo(Exception): ...


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("send", SENDERS)
def test_message_is_seen_once_its_transaction_commits(send: Callable[[], AsyncResult]) -> None:
    """G1, CALL-14."""
    with private() as elsewhere:
        with transaction.atomic():
            result = send()
            assert not elsewhere.living([result.id])
        assert elsewhere.living([result.id])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("send", SENDERS)
def test_message_goes_with_the_transaction_that_is_rolled_back(send: Callable[[], AsyncResult]) -> None:
    """G1."""
    with pytest.raises(Undo), transaction.atomic():
        Group.objects.create(name="never")
        result = send()
        raise Undo
    assert not result.exists() and not Group.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_message_goes_with_the_savepoint_that_is_rolled_back() -> None:
    """G1."""
    with transaction.atomic():
        kept = add.delay(1, 2)
        with pytest.raises(Undo), transaction.atomic():
            lost = add.delay(3, 4)
            raise Undo
    assert kept.exists() and not lost.exists()


@pytest.mark.django_db(transaction=True)
def test_error_of_the_database_is_raised_at_once_and_rolls_back_with_the_caller() -> None:
    """CALL-12."""
    with pytest.raises(DatabaseError), transaction.atomic():
        Group.objects.create(name="never")
        with connections["default"].execute_wrapper(refuse_inserts_of_messages):
            add.delay(1, 2)
    assert not Group.objects.exists()


def refuse_inserts_of_messages(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    return execute(sql.replace("djtasks_message", "no_such_table"), params, many, context)


# Requests


@pytest.fixture
def client_of_atomic_requests(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    return Client(raise_request_exception=False)


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
def test_request_that_fails_sends_nothing(client_of_atomic_requests: Client) -> None:
    """J2."""
    assert client_of_atomic_requests.get("/sign-up/?fail=1").status_code == 500
    assert not Group.objects.exists() and not Message.objects.exists()


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
def test_request_that_succeeds_sends_its_message(client_of_atomic_requests: Client) -> None:
    """J2."""
    result = AsyncResult(client_of_atomic_requests.get("/sign-up/").content.decode())
    run_until_empty()
    assert result.get() == 3


@pytest.mark.django_db(transaction=True)
def test_callback_on_commit_may_send() -> None:
    """J2."""
    with transaction.atomic():
        transaction.on_commit(lambda: note.delay("sent on commit"))
        assert not Message.objects.exists()
    assert Message.objects.get().args == ["sent on commit"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("send", SENDERS)
def test_message_joins_a_transaction_without_autocommit(send: Callable[[], AsyncResult], commits: bool) -> None:
    """G1, J1: also where it is the first statement of all."""
    transaction.set_autocommit(False)
    try:
        send()
        Group.objects.create(name="member")
        transaction.commit() if commits else transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert Message.objects.count() == Group.objects.count() == commits


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("robust", [True, False])
def test_callback_that_fails_after_the_commit_loses_no_outcome(robust: bool) -> None:
    """J2: a robust one is logged, another fails its task; what was committed is there."""

    def broken() -> None:
        raise LookupError("from a callback")

    @shared_task(name="committing")
    def body() -> str:
        with transaction.atomic():
            Group.objects.create(name="member")
            transaction.on_commit(broken, robust=robust)
            transaction.on_commit(lambda: ran.append("after it"), robust=True)
        return "done"

    result = body.delay()
    run_until_empty()
    assert Group.objects.count() == 1
    assert result.state == ("SUCCESS" if robust else "FAILURE")
    assert ("after it" in ran) is robust


# Tests of applications


class ApplicationTests(TestCase):
    """J3: what a project's own tests do, in a transaction that is never committed."""

    def test_message_is_seen_by_its_test(self) -> None:
        result = add.delay(1, 2)
        self.assertEqual(Message.objects.get().pk.hex, result.id.replace("-", ""))
        self.assertEqual(result.state, "PENDING")

    def test_commit_is_not_needed_to_send(self) -> None:
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            self.assertTrue(add.delay_on_commit(1, 2).exists())
        self.assertEqual(callbacks, [])

    def test_eager_task_runs_inside_the_test(self) -> None:
        with self.settings(DJTASKS={"TASK_ALWAYS_EAGER": True}), self.assertNumQueries(0):
            self.assertEqual(add.delay(1, 2).get(timeout=1), 3)

    def test_wait_for_what_no_worker_can_see_is_an_error_at_once(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "sent in the transaction that is still open here"):
            add.delay(1, 2).get()


# A database of its own for the queue


def test_message_joins_the_transactions_of_the_queues_own_database(other_database: str) -> None:
    """G1."""
    with pytest.raises(Undo), transaction.atomic(using=other_database):
        lost = add.delay(1, 2)
        raise Undo
    with pytest.raises(Undo), transaction.atomic():
        Group.objects.create(name="never")
        kept = add.delay(1, 2)
        raise Undo
    assert kept.exists() and not lost.exists()
    assert Message.objects.using(other_database).count() == 1 and not Message.objects.using("default").exists()


def test_message_on_commit_follows_the_data_into_the_other_database(other_database: str) -> None:
    """CALL-14."""
    with transaction.atomic():
        result = add.delay_on_commit(1, 2)
        assert not result.exists()
    run_until_empty()
    assert result.get() == 3


def test_message_on_commit_goes_with_the_data_that_are_rolled_back(other_database: str) -> None:
    """CALL-14."""
    with pytest.raises(Undo), transaction.atomic():
        result = add.delay_on_commit(1, 2)
        raise Undo
    with pytest.raises(ResultNotFound):
        result.get()


def test_wrong_call_on_commit_is_refused_before_the_commit(other_database: str) -> None:
    with transaction.atomic(), pytest.raises(TypeError, match="missing a required argument"):
        add.delay_on_commit(1)


def test_task_of_the_other_database_may_write_to_the_first(other_database: str) -> None:
    result = note.delay("from the other database")
    run_until_empty()
    assert result.successful() and ran.pop() == "from the other database"
    assert result.children == [] and result.forget() is None and not result.exists()


def test_missing_tables_are_an_error_at_once(transactional_db: None, other_database: str) -> None:
    """CALL-12."""
    call_command("migrate", "djtasks", "zero", database=other_database, verbosity=0)
    with pytest.raises(DatabaseError):
        add.delay(1, 2)


# Coroutines


@pytest.mark.django_db(transaction=True)
def test_coroutine_sends() -> None:
    """J4."""

    async def send() -> list[AsyncResult]:
        return [await add.adelay(1, 2), await add.aapply_async((3, 4), queue="far", countdown=60)]

    one, other = async_to_sync(send)()
    assert one.args == [1, 2]
    assert (other.args, other.queue) == ([3, 4], "far")


@pytest.mark.django_db
def test_coroutine_sends_in_the_transaction_that_is_open() -> None:
    """J4."""
    result = async_to_sync(add.adelay)(1, 2)
    assert result.exists()
    with private() as elsewhere:
        assert not elsewhere.living([result.id])
