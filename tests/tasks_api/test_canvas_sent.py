"""Canvases on their way into the queue: whole or not at all, with all that any message is sent with (CANV, CALL)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from djtasks import (
    AsyncResult,
    GroupResult,
    Workflow,
    chain,
    chord,
    enqueue_many,
    group,
    send_task,
    shared_task,
    signals,
    signature,
)
from djtasks.exceptions import AlreadyEnqueued, EncodeError
from djtasks.models import Dependency, Message, Result
from djtasks.tasks import registry
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, echo, fail, look, note, ran

pytestmark = pytest.mark.django_db(transaction=True)
ID = "018f4c1e-0000-7000-8000-000000000001"


def row(result: Any) -> Message:
    return Message.objects.get(pk=result.id)


# Whole or not at all


def test_workflow_joins_the_callers_transaction() -> None:
    """CANV-4, CALL-12."""
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        (group(add.s(1, 1), add.s(2, 2)) | echo.s()).apply_async()
        assert (Message.objects.count(), Dependency.objects.count()) == (3, 2)
        1 / 0  # noqa: B018
    assert not Message.objects.exists() and not Dependency.objects.exists()


def test_workflow_with_a_wrong_member_is_not_sent() -> None:
    """CANV-5: also where thousands came before it."""
    for wrong, error in ((add.s(1), TypeError), (echo.s(object()), EncodeError)):
        with pytest.raises(error):
            group(add.s(each, each) if each < 5100 else wrong for each in range(5101)).apply_async()
    assert not Message.objects.exists()


def test_what_waits_is_not_due_and_its_time_begins_later() -> None:
    """CANV-4: countdown and expiry of a step count from the end of the one before."""
    last = chain(add.s(1, 1), add.s(1).set(countdown=60, expires=90)).apply_async()
    message = row(last)
    assert (message.due_at, message.expires_at, message.delay, message.lifetime) == (None, None, 60, 90)
    assert last.state == "PENDING"
    run_until_empty(patient=True)
    message = row(last)
    assert message.due_at is not None and message.expires_at is not None
    assert message.expires_at - message.due_at == timedelta(seconds=30)


def test_frozen_workflow_is_sent_once() -> None:
    """CALL-9."""
    whole = chain(add.s(1, 1), group(add.s(1), add.s(2)))
    frozen = whole.freeze()
    assert whole.apply_async() == frozen
    for _ in range(2):
        with pytest.raises(AlreadyEnqueued):
            whole.apply_async()
        assert whole.apply_async(exist_ok=True) == frozen
        run_until_empty()
    assert Result.objects.count() == 3 and frozen.get() == [3, 4]


# Callbacks of a call


def test_call_may_have_callbacks_and_errbacks() -> None:
    """CANV-2, CANV-3."""
    for send in (
        lambda **links: echo.apply_async(("x",), **links),
        lambda **links: send_task(echo.name, ("x",), **links),
        lambda **links: echo.apply_async_on_commit(("x",), **links),
        lambda **links: signature(echo.name, ("x",)).apply_async(**links),
        lambda **links: enqueue_many([(echo, ("x",), {}, links)])[0],
    ):
        ran.clear()
        result = send(link=[note.s(), note.si("after")], link_error=fail.s())
        assert isinstance(result, AsyncResult)
        run_until_empty()
        assert (result.get(), ran) == ([["x"], {}], [[["x"], {}], "after"])
        assert [child.name for child in result.children] == [note.name] * 2


def test_errback_of_a_call_runs() -> None:
    """CANV-3."""

    @shared_task
    def tell(request: Any, exc: BaseException, traceback: str, *own: Any) -> None:
        ran.append((request.id, request.task, request.args, type(exc), str(exc), "ValueError" in traceback, own))

    result = fail.apply_async(("broken",), link=note.s(), link_error=[tell.s("own"), note.s()])
    run_until_empty()
    assert ran == [(result.id, fail.name, ("broken",), ValueError, "broken", True, ("own",)), result.id]
    assert {child.name for child in result.children} == {tell.name, note.name}


def test_callbacks_on_commit_follow_the_data_into_the_other_database(other_database: str) -> None:
    """CALL-14, CANV-2."""
    elsewhere = Message.objects.using(other_database)
    with transaction.atomic():
        result = add.apply_async_on_commit((1, 2), link=note.s())
        assert not elsewhere.exists()
    assert elsewhere.get(task=add.name).id.hex == result.id.replace("-", "")
    assert elsewhere.get(task=note.name).due_at is None


def test_wrong_callback_is_refused() -> None:
    """CANV-2."""
    with pytest.raises(TypeError, match="is no signature"):
        add.apply_async((1, 2), link=note)
    with pytest.raises(TypeError, match="takes no option"):
        add.apply_async((1, 2), link=note.s().set(nonsense=1))
    assert not Message.objects.exists()


# Many calls


def test_calls_and_signatures_are_enqueued_together() -> None:
    """CANV-5."""
    two = add.s(1, 1) | add.s(2)
    handles = enqueue_many([(add, (1, 2)), add.s(3, 4), two, group(add.s(1, 1), two), dict(add.s(5, 5))])
    assert Message.objects.count() == 8 and isinstance(handles[3], GroupResult)
    run_until_empty()
    assert [handle.get() for handle in handles] == [3, 7, 4, [2, 4], 10]
    assert len({str(row.root or row.id) for row in Result.objects.all()}) == 5


def test_nothing_is_enqueued_where_one_call_is_wrong() -> None:
    with pytest.raises(TypeError, match=r"call 1 is not \(task, args, kwargs\[, options\]\), nor a signature"):
        enqueue_many([add.s(1, 2) | add.s(1), {"task": add}])
    with pytest.raises(TypeError, match="cannot be called like this"):
        enqueue_many([add.s(1, 2) | add.s(1), add.s(1)])
    assert not Message.objects.exists()


def test_calls_and_signatures_run_eagerly(eager: None) -> None:
    """MON-3."""
    assert [each.get() for each in enqueue_many([(add, (1, 2)), add.s(1, 1) | add.s(2)])] == [3, 4]


# Signals


@pytest.fixture
def published() -> Iterator[list[tuple[str, Any, Any]]]:
    heard: list[tuple[str, Any, Any]] = []

    def before(sender: str, body: Any, headers: dict[str, Any], **facts: Any) -> None:
        headers["trace"] = "t"
        heard.append(("before", sender, body[0]))

    def after(sender: str, body: Any, headers: dict[str, Any], **facts: Any) -> None:
        heard.append(("after", sender, (body[0], headers)))

    signals.before_task_publish.connect(before)
    signals.after_task_publish.connect(after)
    yield heard
    signals.before_task_publish.disconnect(before)
    signals.after_task_publish.disconnect(after)


def test_every_message_is_told_of(published: list[tuple[str, Any, Any]]) -> None:
    """CALL-13."""
    with transaction.atomic():
        chain(add.s(1, 1), echo.s("b")).apply_async()
        assert [each[0] for each in published] == ["before", "before"]
    assert published == [
        ("before", add.name, (1, 1)),
        ("before", echo.name, ("b",)),
        ("after", add.name, ([1, 1], {"trace": "t"})),
        ("after", echo.name, (["b"], {"trace": "t"})),
    ]
    assert {message.options["headers"]["trace"] for message in Message.objects.all()} == {"t"}


# Relations


def test_workflow_that_is_sent_in_a_task_belongs_to_it() -> None:
    """CALL-10."""

    @shared_task
    def outer() -> str:
        body = (group(look.s("root_id", "parent_id"), look.s("root_id", "parent_id")) | look.si("root_id")).delay()
        return body.id

    result = outer.delay()
    run_until_empty()
    body = AsyncResult(result.get())
    assert body.get() == {"root_id": result.id}
    assert body.parent.get() == [{"root_id": result.id, "parent_id": result.id}] * 2
    assert [child.id for child in result.children] == [body.parent.id, body.id]


def test_group_is_restored_in_the_order_of_its_call() -> None:
    """RES-13, CANV-5."""
    result = group(add.s(1, 1), chain(add.s(1, 1), add.s(5)), chord([add.s(1, 1)], echo.s())).apply_async()
    restored = GroupResult.restore(result.id)
    assert restored is not None and [each.id for each in restored] == [each.id for each in result]
    run_until_empty()
    assert GroupResult.restore(result.id).get() == result.get() == [2, 7, [[[2]], {}]]


# What is djtasks' own


def test_own_tasks_are_there_and_are_not_listed() -> None:
    for name in ("djtasks.gather", "djtasks.map", "djtasks.starmap", "djtasks.errback"):
        assert registry.find(name) is not None and name not in registry.names()


def test_map_of_secrets_shows_none(caplog: pytest.LogCaptureFixture) -> None:
    """S10, CANV-11: neither in the error that is kept nor in the log."""
    secret = shared_task(lambda password: fail.run(password), name="secret", sensitive=["password"])
    result = secret.map(["hunter2"]).apply_async()
    run_until_empty()
    assert result.failed() and "hunter2" not in str(result.errors) + caplog.text
    assert "ValueError" in str(result.errors)


def test_connections_are_left_as_they_were() -> None:
    """A workflow is sent on the caller's own connection."""
    before = set(connections)
    (add.s(1, 1) | add.s(2)).delay()
    assert set(connections) == before


# Graphs


def test_conditions_decide_who_runs() -> None:
    """Beyond Celery."""
    flow = Workflow()
    good, bad = flow.add(add.s(1, 2)), flow.add(fail.s())
    for condition in ("success", "failure", "end"):
        flow.add(note.si(f"good {condition}"), after=[good], on=condition)
        flow.add(note.si(f"bad {condition}"), after=[bad], on=condition)
    both = flow.add(echo.s("own"), after=[good, (bad, "end")])
    handles = flow.apply_async()
    run_until_empty()
    assert sorted(ran) == ["bad end", "bad failure", "good end", "good success"]
    assert both.result.get() == [[3, "own"], {}] and len(handles) == 9
    assert [handle.state for handle in handles[2:6]] == ["SUCCESS", "FAILURE", "PENDING", "SUCCESS"]


def test_empty_chain_is_not_sent() -> None:
    """CANV-4."""
    assert chain().apply_async() is chain()() is None
    assert not Message.objects.exists()
