"""A real worker beside a test whose data is committed; nothing of it is left afterwards."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import TestCase, TransactionTestCase

from djtasks import shared_task
from djtasks.models import Message, Worker
from djtasks.testing import TaskTestMixin, drain, running_worker
from djtasks.worker.supervisor import Supervisor
from tests.helpers import wait_until
from tests.tasks_api.samples import add, fail, note

committed = pytest.mark.django_db(transaction=True)
PATIENCE = 60


@committed
def test_worker_runs_what_is_sent(djtasks_worker: Supervisor) -> None:
    Group.objects.create(name="of the test")
    counted = shared_task(lambda: Group.objects.count(), name="counted")
    assert counted.delay().get(timeout=PATIENCE) == 1
    assert add.delay(1, 2).get(timeout=PATIENCE) == 3


@committed
def test_worker_leaves_nothing_behind() -> None:
    """J3."""
    threads, handler = threading.enumerate(), signal.getsignal(signal.SIGTERM)
    with running_worker() as worker:
        wait_until(Worker.objects.exists)
        assert add.delay(1, 2).get(timeout=PATIENCE) == 3
        assert signal.getsignal(signal.SIGTERM) is handler
    wait_until(lambda: not Worker.objects.exists())
    wait_until(lambda: set(threading.enumerate()) <= set(threads))
    assert worker.stopping


@committed
def test_worker_serves_the_queues_that_are_named() -> None:
    note.apply_async((1,), queue="media")
    with running_worker("mail"):
        assert add.apply_async((1, 2), queue="mail").get(timeout=PATIENCE) == 3
    assert Message.objects.get().queue == "media"


@committed
def test_error_of_the_test_ends_the_worker() -> None:
    with pytest.raises(ValueError, match="no"), running_worker() as worker:
        fail.delay("no").get(timeout=PATIENCE)
    assert worker.stopping


@pytest.mark.django_db
def test_worker_that_could_see_nothing_is_refused() -> None:
    with pytest.raises(RuntimeError, match="here a transaction is open"), running_worker():
        pass


@pytest.mark.django_db
def test_fixture_drains(djtasks_drain: Any) -> None:
    assert djtasks_drain is drain
    result = add.delay(1, 2)
    djtasks_drain()
    assert result.get() == 3


class InTheMannerOfUnittest(TaskTestMixin, TestCase):
    def test_case_has_the_kit(self) -> None:
        add.apply_async((1, 2), countdown=60)
        self.assertEnqueued(add, args=(1, 2))
        self.assertEqual(len(self.enqueued()), 1)
        with self.travel(60):
            self.drain()
        self.assertEqual(self.run_pending(), [])


class WithCommits(TaskTestMixin, TransactionTestCase):
    def test_case_has_a_worker(self) -> None:
        with self.running_worker():
            self.assertEqual(add.delay(1, 2).get(timeout=PATIENCE), 3)
