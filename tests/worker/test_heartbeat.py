"""What the heartbeat does by turns (RES-14)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from djtasks.broker import commands
from djtasks.broker.purge import BATCH
from djtasks.broker.vendors import shared_vendor
from djtasks.domain.identifiers import uuid7
from djtasks.models import Command, Result, Worker
from djtasks.worker.heartbeat import PURGE_SECONDS, purge_in_turn

pytestmark = pytest.mark.django_db(transaction=True)


def worker(name: str) -> str:
    row = Worker.objects.create(id=uuid7(), name=name, host="host", pid=1, pool="processes", slots=1)
    row.refresh_from_db()
    return str(row.pk)


def expired(count: int) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Result.objects.bulk_create(Result(task="a.task", state="SUCCESS", expires_at=past) for _ in range(count))


def test_expired_results_are_deleted_a_batch_at_a_time() -> None:
    only = worker("only")
    expired(BATCH + 1)
    Result.objects.create(task="kept", state="SUCCESS")
    assert purge_in_turn(shared_vendor(), only, 0.0)
    assert Result.objects.count() == 2
    assert not purge_in_turn(shared_vendor(), only, 0.0)
    assert [result.task for result in Result.objects.all()] == ["kept"]


def test_old_commands_are_deleted() -> None:
    """WORK-10: those that nobody answered, and whose sender did not wait."""
    only = worker("only")
    for age in (2 * commands.KEPT_SECONDS, 10):
        row = Command.objects.create(worker=uuid7(), verb="ping")
        Command.objects.filter(pk=row.pk).update(sent_at=timezone.now() - timedelta(seconds=age))
    purge_in_turn(shared_vendor(), only, 0.0)
    assert [command.pk for command in Command.objects.all()] == [row.pk]


def test_workers_take_turns() -> None:
    first, second = worker("first"), worker("second")
    for minute, (idle, busy) in enumerate([(second, first), (first, second), (second, first)]):
        expired(1)
        moment = minute * PURGE_SECONDS
        purge_in_turn(shared_vendor(), idle, moment)
        assert Result.objects.count() == 1
        purge_in_turn(shared_vendor(), busy, moment)
        assert Result.objects.count() == 0


def test_worker_that_vanished_has_no_turn_and_no_row() -> None:
    gone, alive = worker("gone"), worker("alive")
    Worker.objects.filter(pk=gone).update(seen_at=timezone.now() - timedelta(minutes=5))
    expired(1)
    for minute in range(2):
        purge_in_turn(shared_vendor(), alive, minute * PURGE_SECONDS)
    assert not Result.objects.exists()
    assert [str(row.pk) for row in Worker.objects.all()] == [alive]
