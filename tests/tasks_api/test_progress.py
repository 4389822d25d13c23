"""A state of the task's own, shown while it runs (RES-3)."""

from __future__ import annotations

import math
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from djtasks import AsyncResult, Task, shared_task, states
from djtasks.domain import payloads
from djtasks.domain.messages import Token
from djtasks.exceptions import EncodeError, LeaseLost
from djtasks.models import Message
from djtasks.tasks.context import Request, running
from djtasks.worker.notes import Notes
from tests.helpers import wait_until
from tests.helpers_inprocess import private, run_one, run_until_empty

in_database = pytest.mark.django_db(transaction=True)
seen: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


@in_database
def test_state_of_its_own_is_seen_until_the_task_ends() -> None:
    """RES-3."""

    @shared_task(bind=True)
    def body(self: Task) -> str:
        self.update_state(state="FETCHING", meta={"done": 1, "of": 3})
        handle = AsyncResult(str(self.request.id))
        seen.append((handle.state, handle.info, handle.result, handle.ready()))
        return "done"

    result = body.delay()
    run_until_empty()
    assert seen == [("FETCHING", {"done": 1, "of": 3}, {"done": 1, "of": 3}, False)]
    assert (result.state, result.info) == ("SUCCESS", "done")


@in_database
def test_meta_alone_leaves_the_state() -> None:
    """RES-3."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        self.update_state(meta=[1])
        self.update_state()
        handle = AsyncResult(str(self.request.id))
        seen.append((handle.state, handle.info))

    body.delay()
    run_until_empty()
    assert seen == [("STARTED", [1])]


@in_database
def test_retry_wipes_the_state_of_the_attempt() -> None:
    """RES-3."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        self.update_state(state="FETCHING", meta="x")
        self.retry(exc=OSError("later"), countdown=600)

    result = body.delay()
    run_until_empty(patient=True)
    assert result.state == "RETRY" and isinstance(result.info, OSError)


@in_database
def test_run_whose_message_is_no_longer_its_own_may_not_speak() -> None:
    """G4."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        Message.objects.update(deliveries=7)
        with pytest.raises(LeaseLost, match="is no longer held by delivery 1"):
            self.update_state(state="FETCHING")
        seen.append("refused")

    body.delay()
    run_one()
    assert seen == ["refused"]
    assert Message.objects.get().state == ""


@pytest.mark.postgres
@in_database
def test_state_is_seen_outside_of_the_transaction_of_the_body_and_leaves_the_row_free() -> None:
    """A1: a row that stayed locked would not be renewed."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        token = Token(str(self.request.id), self.request.deliveries)
        with transaction.atomic(), private() as elsewhere:
            Group.objects.create(name="not committed yet")
            self.update_state(state="FETCHING")
            elsewhere.renew([token], 3600)
        seen.append(Message.objects.get())

    body.delay()
    run_until_empty()
    (message,) = seen
    assert message.state == "FETCHING" and message.leased_until > timezone.now() + timedelta(minutes=30)


@pytest.mark.postgres
@in_database
def test_row_that_the_body_itself_has_locked_can_be_spoken_for() -> None:
    @shared_task(bind=True)
    def body(self: Task) -> None:
        with transaction.atomic():
            AsyncResult(str(self.request.id)).revoke()
            self.update_state(state="FETCHING")
        seen.append(Message.objects.get().state)

    body.delay()
    run_until_empty()
    assert seen == ["FETCHING"]


@in_database
def test_somebody_else_may_speak_for_a_task() -> None:
    """RES-3."""

    @shared_task(bind=True)
    def body(self: Task, other: str) -> None:
        self.update_state(task_id=other, meta={"told": True})

    other = body.apply_async((str(uuid.uuid4()),), countdown=600)
    body.delay(other.id)
    run_until_empty(patient=True)
    assert other.info == {"told": True} and other.state == "PENDING"


@pytest.mark.parametrize("state", [*sorted(states.READY_STATES), "", "x" * 65, "a\0b", 7])
def test_word_that_cannot_be_a_state_is_refused(state: Any) -> None:
    @shared_task(bind=True)
    def body(self: Task) -> None:
        self.update_state(state=state)

    with pytest.raises(ValueError, match=r"is how a task ends|a state is a word"):
        body()


def test_meta_that_cannot_be_stored_is_refused(eager: None) -> None:
    """E1, E2."""

    @shared_task(bind=True)
    def body(self: Task) -> None:
        self.update_state(meta={"file": object()})

    with pytest.raises(EncodeError, match=r"meta\.file is of type"):
        body.delay().get()


def test_nobody_hears_of_direct_and_eager_runs() -> None:
    """MON-3."""

    @shared_task(bind=True)
    def body(self: Task) -> str:
        self.update_state(state="FETCHING")
        return "done"

    assert body() == body.apply().get() == "done"


# Progress


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((1,), {"done": 1, "total": None, "message": ""}),
        ((1, 3, "fetching"), {"done": 1, "total": 3, "message": "fetching"}),
        ((0.5, Decimal("2.5"), gettext_lazy("yes")), {"done": 0.5, "total": 2.5, "message": "yes"}),
        ((True, 2**70), {"done": 1, "total": 2**70, "message": ""}),
        ((1, 2, "a\0b\ud800"), {"done": 1, "total": 2, "message": "a\\x00b\\ud800"}),
    ],
)
def test_progress_is_handed_to_the_worker(given: Any, told: dict[str, Any]) -> None:
    """RES-3, E1."""
    task = shared_task(lambda self: self.progress(*given), name="telling", bind=True)
    with running(task, Request(id="7", task="telling", deliveries=2, note=lambda *note: seen.append(note))):
        task.run()
    ((token, text),) = seen
    assert token == Token("7", 2)
    assert payloads.decode(text) == told


def test_long_words_are_cut() -> None:
    """E4."""
    task = shared_task(lambda self: self.progress(1, message="x" * 10_000), name="telling", bind=True)
    with running(task, Request(id="7", task="telling", note=lambda token, text: seen.append(text))):
        task.run()
    assert len(seen[0]) < 2000


@pytest.mark.parametrize("value", ["1", None, math.nan, math.inf, 10**400, object(), 1j])
def test_progress_that_is_no_number_is_refused(value: Any) -> None:
    task = shared_task(lambda self: self.progress(value), name="telling", bind=True)
    with pytest.raises(TypeError, match="done is a finite number"):
        task()


def test_nobody_hears_of_the_progress_of_direct_and_eager_runs() -> None:
    """MON-3."""
    task = shared_task(lambda self: self.progress(1, 2), name="telling", bind=True)
    assert task() is task.apply().get() is None


def test_many_words_are_handed_on_as_few_and_the_last_always() -> None:
    """RES-3: a loop that tells its progress 10,000 times costs a few statements."""
    token, other = Token("7", 1), Token("8", 1)
    notes = Notes(lambda token, text: seen.append((token, text)))
    for count in range(10_001):
        notes.put(token, str(count))
    notes.put(other, "other")
    wait_until(lambda: {(token, "10000"), (other, "other")} <= set(seen))
    assert len(seen) < 100
