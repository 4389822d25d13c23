"""Tests say what they expect to be in the queue, and are told what is there instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from djtasks import chain, shared_task
from djtasks.testing import assert_enqueued, drain, enqueued
from tests.tasks_api.samples import add, echo, note

pytestmark = pytest.mark.django_db

MOMENT = datetime(2040, 1, 1, tzinfo=UTC)


def test_messages_are_told_in_the_order_in_which_they_were_sent() -> None:
    for number in (3, 1, 2):
        note.delay(number)
    assert [message.args for message in enqueued()] == [[3], [1], [2]]


def test_messages_may_be_chosen() -> None:
    note.delay(1)
    add.apply_async((1, 2), queue="mail")
    assert [message.task for message in enqueued(add)] == [message.task for message in enqueued(queue="mail")]
    assert enqueued(add.name, queue="default") == []


def test_what_has_ended_is_not_in_the_queue() -> None:
    note.delay(1)
    drain()
    assert enqueued() == [] == assert_enqueued(note, times=0)


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"args": (1, Decimal("1.10"))},
        {"kwargs": {"x": [2]}},
        {"queue": "mail"},
        {"eta": MOMENT},
        {"times": 1},
        {"args": [1, Decimal("1.10")], "kwargs": {"x": (2,)}, "queue": "mail", "eta": MOMENT, "times": 1},
    ],
)
def test_message_is_as_expected(expected: dict[str, Any]) -> None:
    echo.apply_async((1, Decimal("1.10")), {"x": (2,)}, queue="mail", eta=MOMENT)
    [message] = assert_enqueued(echo, **expected)
    assert message.queue == "mail"


@pytest.mark.parametrize(
    "expected",
    [
        {"args": (1,)},
        {"args": ()},
        {"kwargs": {}},
        {"queue": "default"},
        {"eta": MOMENT + timedelta(seconds=1)},
        {"eta": timedelta()},
        {"times": 2},
        {"times": 0},
    ],
)
def test_message_is_not_as_expected(expected: dict[str, Any]) -> None:
    echo.apply_async((1, Decimal("1.10")), {"x": (2,)}, queue="mail", eta=MOMENT)
    with pytest.raises(AssertionError):
        assert_enqueued(echo, **expected)


def test_delay_may_be_expected() -> None:
    note.apply_async((1,), countdown=60)
    note.delay(2)
    assert [message.args for message in assert_enqueued(note, eta=timedelta(minutes=1), times=1)] == [[1]]
    assert [message.args for message in assert_enqueued(note, eta=timedelta(), times=1)] == [[2]]


def test_complaint_says_what_is_in_the_queue() -> None:
    add.apply_async((1,), {"y": 2}, queue="mail")
    note.apply_async(("later",), eta=MOMENT)
    chain(add.s(1, 1), echo.s()).delay()
    with pytest.raises(AssertionError) as caught:
        assert_enqueued(add, args=(1, 2), queue="mail")
    said = str(caught.value).replace("tests.tasks_api.samples.", "").splitlines()
    assert said[0] == "add with args=(1, 2), queue='mail' is in the queue 0 times, not at least once."
    assert said[1:3] == ["The queue holds:", "  add(1, y=2) in 'mail'"]
    assert said[3].startswith("  note('later') in 'default', due in ")
    assert said[4:] == ["  add(1, 1) in 'default'", "  echo() in 'default', blocked"]


def test_complaint_says_that_nothing_is_there() -> None:
    with pytest.raises(
        AssertionError, match=r"add with any arguments is .* 0 times, not 2 times\.\nThe queue is empty"
    ):
        assert_enqueued("add", times=2)


def test_complaint_keeps_secrets() -> None:
    """S10."""
    shared_task(lambda user, password: None, name="log_in", sensitive=["password"]).delay("ann", password="hunter2")
    with pytest.raises(AssertionError, match=r"log_in\('ann', password='\*+'\)"):
        assert_enqueued(add)
