"""What a body finds at ``self.request``, and who its children are."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from djtasks import AsyncResult, Task, shared_task
from djtasks.models import Message, Result
from djtasks.tasks.context import Request
from djtasks.testing.inline import HOSTNAME, InlineWorker
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, look, retry_until

in_database = pytest.mark.django_db(transaction=True)
seen: list[Request] = []


@shared_task(bind=True)
def show(self: Task, *args: Any, **kwargs: Any) -> None:
    seen.append(self.request)


@shared_task(bind=True)
def send_child(self: Task, **options: Any) -> list[str]:
    return [add.apply_async((1, 2), **options).id, str(self.request.id)]


@shared_task(bind=True)
def keep(self: Task) -> str:
    self.request.kept = "something"
    return self.request.kept


@shared_task
def send_grandchild() -> str:
    return send_child.delay().id


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


@in_database
def test_body_may_keep_something_on_its_request() -> None:
    result = keep.delay()
    run_until_empty()
    assert result.get() == "something"


@in_database
def test_body_sees_its_message() -> None:
    result = show.apply_async((1,), {"x": 2}, queue="mail", priority=7, headers={"tenant": "a"}, shadow="shown")
    run_until_empty()
    (request,) = seen
    assert (request.id, request.task) == (result.id, show.name)
    assert (request.args, request.kwargs) == ((1,), {"x": 2})
    assert (request.queue, request.priority) == ("mail", 7)
    assert (request.headers, request.shadow) == ({"tenant": "a"}, "shown")
    assert (request.retries, request.deliveries, request.losses, request.redelivered) == (0, 1, 0, False)
    assert (request.root_id, request.parent_id, request.group) == (result.id, None, None)
    assert (request.called_directly, request.is_eager) == (False, False)
    assert (request.eta, request.expires) == (None, None)
    assert request.hostname == HOSTNAME and uuid.UUID(str(request.worker_id))
    assert request.enqueued_at == Result.objects.get(pk=result.id).enqueued_at
    assert request.started_at is not None and abs(request.started_at - datetime.now(tz=UTC)) < timedelta(minutes=1)
    assert (request.acks_late, request.ignore_result, request.stopping, request.lost) == (False, False, False, False)


@in_database
def test_body_sees_when_it_was_due_and_when_it_would_have_expired() -> None:
    """CALL-3, CALL-4."""
    eta, expires = datetime(2001, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    show.apply_async(eta=eta, expires=expires)
    run_until_empty(patient=True)
    assert (seen[0].eta, seen[0].expires) == (eta, expires)


@in_database
def test_retried_body_sees_the_number_of_its_retry() -> None:
    """RETRY-2."""
    task = shared_task(
        lambda self: seen.append(self.request) or (self.request.retries < 2 and self.retry(countdown=0)),
        name="retried",
        bind=True,
    )
    result = task.delay()
    run_until_empty()
    assert [(request.id, request.retries, request.deliveries) for request in seen] == [
        (result.id, number, number + 1) for number in range(3)
    ]
    assert not any(request.redelivered for request in seen)


@in_database
def test_message_that_is_delivered_again_says_so() -> None:
    """ACK-7."""
    task = shared_task(show.__wrapped__, name="late", bind=True, acks_late=True)
    task.delay()
    first, second = InlineWorker("first"), InlineWorker("second")
    assert first.reserve()
    first.die()
    second.deliver(*second.reserve())
    (request,) = seen
    assert (request.hostname, request.deliveries, request.losses, request.redelivered) == ("second", 2, 1, True)
    assert request.delivery_info == {"routing_key": "default", "priority": 0, "redelivered": True, "is_eager": False}


def test_eager_body_sees_that_it_is_eager(eager: None) -> None:
    """MON-3."""
    result = show.apply_async((1,), {"x": 2}, queue="mail", priority=7, headers={"tenant": "a"}, countdown=60)
    (request,) = seen
    assert (request.id, request.args, request.kwargs) == (result.id, (1,), {"x": 2})
    assert (request.queue, request.priority, request.headers) == ("mail", 7, {"tenant": "a"})
    assert (request.is_eager, request.called_directly, request.root_id) == (True, False, result.id)
    assert request.delivery_info["is_eager"] is True


def test_body_that_is_called_directly_sees_so() -> None:
    """TASK-5."""
    show(1, x=2)
    (request,) = seen
    assert (request.called_directly, request.is_eager, request.id) == (True, False, None)
    assert (request.args, request.kwargs, request.task) == ((1,), {"x": 2}, show.name)


def test_request_of_a_task_that_does_not_run_is_empty() -> None:
    assert look.request == Request(task=look.name)


def test_fields_can_be_read_by_name() -> None:
    request = Request(id="7")
    assert (request.get("id"), request.get("zzz"), request.get("zzz", 1)) == ("7", None, 1)
    assert request.correlation_id == "7"


def test_task_that_is_called_in_another_does_not_disturb_its_request() -> None:
    @shared_task(bind=True)
    def outer(self: Task) -> tuple[Any, ...]:
        before = self.request
        show("inner")
        return before is self.request, self.request.args

    assert outer() == (True, ())
    assert seen[0].args == ("inner",)


# Relations


@in_database
def test_task_that_is_sent_in_another_is_its_child() -> None:
    """CALL-10."""
    parent = send_child.delay()
    run_until_empty()
    child = AsyncResult(parent.get()[0])
    assert parent.children == [child] and child.parent == parent
    assert parent.parent is None and child.children == []


@in_database
def test_children_are_known_before_they_run_and_come_in_order() -> None:
    """CALL-10."""

    @shared_task
    def body() -> list[str]:
        return [add.apply_async((1, 2), countdown=600).id for _ in range(3)]

    parent = body.delay()
    run_until_empty(patient=True)
    assert [child.id for child in parent.children] == parent.get()


@in_database
def test_root_is_the_first_of_all() -> None:
    """CALL-10."""

    @shared_task(bind=True)
    def top(self: Task) -> None:
        show.delay("child")
        if len(self.request.args) == 0:
            seen.append(self.request)

    result = top.delay()
    run_until_empty()
    above, below = seen
    assert (above.root_id, below.root_id, below.parent_id) == (result.id, result.id, result.id)


@in_database
def test_root_is_passed_on_over_generations() -> None:
    """CALL-10."""
    top = send_grandchild.delay()
    run_until_empty()
    middle = AsyncResult(top.get())
    bottom = AsyncResult(middle.get()[0])
    record = bottom._record()
    assert record is not None and (str(record.root), str(record.parent)) == (top.id, middle.id)


@pytest.mark.parametrize("how", ["add_to_parent", "trail"])
@in_database
def test_child_may_be_left_out_of_its_parents_trail(how: str) -> None:
    """CALL-10."""

    @shared_task(trail=how != "trail")
    def body() -> None:
        show.apply_async(add_to_parent=None if how == "trail" else False)

    parent = body.delay()
    run_until_empty()
    assert parent.children == []
    assert (seen[0].parent_id, seen[0].root_id) == (parent.id, parent.id)


@in_database
def test_parent_and_root_may_be_given() -> None:
    """CALL-10."""
    other, root = str(uuid.uuid4()), str(uuid.uuid4())
    show.apply_async(parent_id=other, root_id=root)
    run_until_empty()
    assert (seen[0].parent_id, seen[0].root_id) == (other, root)


@in_database
def test_task_that_is_sent_by_a_direct_call_is_nobodys_child() -> None:
    """TASK-5."""
    child_id, own_id = send_child()
    assert AsyncResult(child_id).parent is None and own_id == "None"


@in_database
def test_retried_parent_keeps_its_children() -> None:
    """RETRY-2."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        add.delay(self.request.retries, 0)
        if self.request.retries < 1:
            self.retry(countdown=0)

    parent = body.delay()
    run_until_empty()
    assert [child.get() for child in parent.children] == [0, 1]


@in_database
def test_child_of_a_retried_task_is_still_one_row() -> None:
    result = retry_until.apply_async((1,), {"countdown": 0})
    assert Message.objects.count() == 1
    run_until_empty()
    assert result.retries == 1
