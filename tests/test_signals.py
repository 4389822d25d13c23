"""Signals are for bystanders: they may listen, add headers, and fail, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.dispatch import Signal

from djtasks import enqueue_many, send_task, shared_task, signals
from djtasks.exceptions import AlreadyEnqueued, EncodeError
from djtasks.models import Message
from tests.helpers_inprocess import run_until_empty
from tests.tasks import add

ID = "018f4c1e-0000-7000-8000-000000000001"
Listen = Callable[[Signal, Callable[..., Any]], None]


@pytest.fixture
def listen() -> Iterator[Listen]:
    connected: list[tuple[Signal, Callable[..., Any]]] = []

    def listen(signal: Signal, receiver: Callable[..., Any]) -> None:
        signal.connect(receiver)
        connected.append((signal, receiver))

    yield listen
    for signal, receiver in connected:
        signal.disconnect(receiver)


class Heard(list[dict[str, Any]]):
    def __call__(self, **facts: Any) -> None:
        del facts["signal"]
        self.append(facts)


@pytest.mark.parametrize(
    "name",
    [
        "before_task_publish",
        "after_task_publish",
        "task_prerun",
        "task_postrun",
        "task_success",
        "task_failure",
        "task_retry",
        "task_received",
        "task_rejected",
        "task_revoked",
        "task_unknown",
        "task_internal_error",
        "worker_init",
        "worker_ready",
        "worker_shutting_down",
        "worker_shutdown",
        "worker_process_init",
        "worker_process_shutdown",
        "heartbeat_sent",
        "setup_logging",
        "after_setup_logger",
        "after_setup_task_logger",
    ],
)
def test_signal_has_the_name_that_celery_gives_it(name: str) -> None:
    """MON-2."""
    assert isinstance(getattr(signals, name), Signal)


def test_receivers_are_told_the_facts(listen: Listen) -> None:
    signal, heard = Signal(), Heard()
    signals.send(signal, "nobody listens yet")
    listen(signal, heard)
    signals.send(signal, "sender", answer=42)
    assert heard == [{"sender": "sender", "answer": 42}]


def test_receiver_that_raises_is_logged_and_keeps_no_other_back(
    listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**facts: Any) -> None:
        raise LookupError("from a receiver")

    signal, heard = Signal(), Heard()
    listen(signal, broken)
    listen(signal, heard)
    signals.send(signal, None)
    assert len(heard) == 1
    assert [record.name for record in caplog.records] == ["django.dispatch"] and "from a receiver" in caplog.text


@pytest.mark.parametrize("name", ["task_postrun", "task_success", "task_failure", "task_retry"])
def test_listener_for_the_end_of_a_run_is_noticed(listen: Listen, name: str) -> None:
    assert not signals.any_after()
    listen(getattr(signals, name), Heard())
    assert signals.any_after()


def test_listener_for_the_beginning_has_nothing_to_wait_for(listen: Listen) -> None:
    listen(signals.task_prerun, Heard())
    assert not signals.any_after()


# Sending (CALL-13)


@pytest.mark.django_db
def test_message_is_told_of_before_it_is_sent(listen: Listen) -> None:
    """CALL-13."""
    heard = Heard()
    listen(signals.before_task_publish, heard)
    result = add.apply_async((1,), {"y": 2}, queue="mail", headers={"tenant": 1})
    facts = {"task_id": result.id, "body": ((1,), {"y": 2}), "headers": {"tenant": 1}, "routing_key": "mail"}
    assert heard == [{"sender": add.name, **facts}]


@pytest.mark.django_db(transaction=True)
def test_headers_may_be_added_before_a_message_is_sent(listen: Listen) -> None:
    """CALL-13."""

    def trace(headers: dict[str, Any], **facts: Any) -> None:
        headers["trace"] = "abc"

    listen(signals.before_task_publish, trace)
    task = shared_task(lambda self: self.request.headers, name="traced", bind=True, headers={"tenant": 1})
    results = [task.delay(), send_task("traced"), *enqueue_many([(task,)])]
    run_until_empty()
    assert [result.get() for result in results] == [{"tenant": 1, "trace": "abc"}] * 3
    assert task.headers == {"tenant": 1}


@pytest.mark.django_db
def test_header_that_cannot_be_stored_is_refused_whoever_adds_it(listen: Listen) -> None:
    """CALL-13, E2."""

    def trace(headers: dict[str, Any], **facts: Any) -> None:
        headers["trace"] = object()

    listen(signals.before_task_publish, trace)
    with pytest.raises(EncodeError, match=r"headers\.trace"):
        add.delay(1, 2)
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_message_is_told_of_once_it_is_committed(listen: Listen) -> None:
    """CALL-13."""
    heard = Heard()
    listen(signals.after_task_publish, heard)
    with transaction.atomic():
        result = add.apply_async((1, 2), headers={"tenant": 1})
        assert heard == []
    facts = {"task_id": result.id, "body": ([1, 2], {}), "headers": {"tenant": 1}, "routing_key": "default"}
    assert heard == [{"sender": add.name, **facts}]


@pytest.mark.django_db(transaction=True)
def test_message_that_is_not_sent_is_not_told_of(listen: Listen) -> None:
    """CALL-13."""
    heard = Heard()
    add.apply_async((1, 2), task_id=ID)
    listen(signals.after_task_publish, heard)
    with pytest.raises(LookupError), transaction.atomic():
        add.delay(1, 2)
        raise LookupError
    with pytest.raises(AlreadyEnqueued):
        add.apply_async((1, 2), task_id=ID)
    add.apply_async((1, 2), task_id=ID, exist_ok=True)
    assert heard == []


@pytest.mark.django_db(transaction=True)
def test_listener_that_fails_after_the_commit_harms_nobody(listen: Listen) -> None:
    """CALL-13."""

    def broken(**facts: Any) -> None:
        raise LookupError

    listen(signals.after_task_publish, broken)
    assert add.delay(1, 2).exists()


@pytest.mark.django_db(transaction=True)
def test_each_of_many_is_told_of(listen: Listen) -> None:
    """CALL-13: also of those that differ in nothing but their arguments."""
    heard = {"before": Heard(), "after": Heard()}
    listen(signals.before_task_publish, heard["before"])
    listen(signals.after_task_publish, heard["after"])
    ids = [result.id for result in enqueue_many([(add, (1, 2)), (add, (3, 4))])]
    for each in heard.values():
        assert [facts["task_id"] for facts in each] == ids


@pytest.mark.parametrize("signal", [signals.before_task_publish, signals.after_task_publish])
def test_eager_task_is_not_sent(listen: Listen, signal: Signal, settings: Any) -> None:
    """CALL-13, MON-3."""
    heard = Heard()
    listen(signal, heard)
    add.apply((1, 2))
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True}
    add.delay(1, 2)
    enqueue_many([(add, (1, 2))])
    assert heard == []


# Connecting as Celery's users do


def test_connect_is_a_decorator_with_and_without_arguments() -> None:
    """MON-2."""
    signal, heard = signals.Signal(), []

    @signal.connect
    def hear_all(sender: Any = None, **facts: Any) -> None:
        heard.append(("all", sender))

    @signal.connect(sender="shop.tasks.pay")
    def hear_one(sender: Any = None, **facts: Any) -> None:
        heard.append(("one", sender))

    assert callable(hear_all) and callable(hear_one)
    signals.send(signal, "".join(["shop.", "tasks.", "pay"]))
    signals.send(signal, "shop.tasks.other")
    assert heard == [("all", "shop.tasks.pay"), ("one", "shop.tasks.pay"), ("all", "shop.tasks.other")]
    assert signal.disconnect(hear_all) and signal.disconnect(hear_one, sender="shop.tasks.pay")
    assert not signal.receivers


# Revoking


@pytest.mark.django_db(transaction=True)
def test_revocation_is_told_of_once_it_is_committed(listen: Listen) -> None:
    """MON-2: here where it was asked for, since no worker will ever hear of the message."""
    heard = Heard()
    listen(signals.task_revoked, heard)
    result = add.apply_async((1,), {"y": 2}, queue="mail")
    with transaction.atomic():
        assert result.revoke() == "revoked"
        assert heard == []
    (facts,) = heard
    request = facts.pop("request")
    assert (request.id, request.args, request.kwargs, request.queue) == (result.id, (1,), {"y": 2}, "mail")
    assert facts == {"sender": add, "task_id": result.id, "terminated": False, "signum": None, "expired": False}
    assert result.revoke() == "too_late" and len(heard) == 1


@pytest.mark.django_db(transaction=True)
def test_revocation_that_is_rolled_back_is_not_told_of(listen: Listen) -> None:
    """MON-2, CALL-13."""
    heard = Heard()
    listen(signals.task_revoked, heard)
    result = add.delay(1, 2)
    with pytest.raises(LookupError), transaction.atomic():
        result.revoke()
        raise LookupError
    assert heard == [] and result.state == "PENDING"
