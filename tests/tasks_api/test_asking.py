"""Commands to workers and the wait for their answers, with heartbeats that are real and workers that are not."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from djtasks import control, inspect
from djtasks.domain.identifiers import uuid7
from djtasks.models import Command, Worker
from djtasks.models.clock import Now
from djtasks.worker.heartbeat import Heartbeat
from tests.helpers import wait_until
from tests.tasks import add

pytestmark = pytest.mark.django_db(transaction=True)

Said = tuple[Any, bool]


@contextmanager
def working(name: str, perform: Callable[[str, Any], Said] | None = None) -> Iterator[str]:
    """Let a worker of this name answer as it is told to; one that performs nothing is alive and silent."""
    id = str(uuid7())
    row = {"id": id, "name": name, "host": socket.gethostname(), "pid": os.getpid(), "pool": "solo", "slots": 1}

    def announced() -> None:
        if perform:
            thread.mailbox.perform(perform)

    deaf: dict[str, Any] = dict.fromkeys(("lost", "revoked"), lambda *_: None)
    thread = Heartbeat(row, tokens=lambda seconds: [], announced=announced, **deaf)
    # It would take away the row of one that is gone.
    thread.purge_at = math.inf
    thread.start()
    try:
        wait_until(lambda: Worker.objects.filter(pk=id).exists())
        yield id
    finally:
        thread.end()
        thread.join(10)


def gone(name: str) -> Worker:
    """Leave the row of a worker that has given no sign of life for long."""
    row = Worker.objects.create(name=name, host="h", pid=1, pool="solo", slots=1)
    Worker.objects.filter(pk=row.pk).update(seen_at=Now() - timedelta(seconds=200))
    return row


def pong(verb: str, arguments: Any) -> Said:
    return {"ok": "pong"}, False


def nothing(verb: str, arguments: Any) -> Said:
    return [], False


def refuse(verb: str, arguments: Any) -> Said:
    return f"no {verb}", True


def test_nobody_there_is_none() -> None:
    """Celery's answer; and why is said, too."""
    asked = inspect(timeout=0.1)
    assert asked.ping() is None and asked.missing() == {}
    assert control.ping(timeout=0.1) == []


def test_answers_come_by_name() -> None:
    with working("one", pong), working("two", pong):
        assert inspect(timeout=10).ping() == {"one": {"ok": "pong"}, "two": {"ok": "pong"}}
        assert sorted(map(str, control.ping(timeout=10))) == ["{'one': {'ok': 'pong'}}", "{'two': {'ok': 'pong'}}"]
    assert not Command.objects.exists()


def test_idle_is_not_silent_is_not_dead_is_not_unknown() -> None:
    """WORK-10, WORK-11."""
    gone("dead")
    with working("idle", nothing), working("silent"):
        asked = inspect(timeout=2)
        assert asked.active() == {"idle": []}
        assert asked.missing() == {"silent": "no answer", "dead": "dead"}
        asked = inspect(["idle", "dead", "nobody"], timeout=10)
        assert asked.active() == {"idle": []}
        assert asked.missing() == {"dead": "dead", "nobody": "unknown"}
    assert not Command.objects.exists()


def test_dead_are_not_waited_for() -> None:
    gone("dead")
    with working("one", pong):
        began_at = time.monotonic()
        assert inspect(timeout=30).ping() == {"one": {"ok": "pong"}}
        assert time.monotonic() - began_at < 10


def test_destination_is_a_name_or_an_id() -> None:
    with working("one", pong) as one, working("two", pong):
        assert inspect(["one"], timeout=10).ping() == {"one": {"ok": "pong"}}
        assert inspect([one, UUID(one)], timeout=10).ping() == {"one": {"ok": "pong"}}
        assert inspect("two", timeout=10).ping() == {"ok": "pong"}
        assert control.ping(destination="two", timeout=10) == [{"two": {"ok": "pong"}}]


def test_namesakes_are_told_apart_and_the_dead_make_room() -> None:
    """WORK-12."""
    dead = gone("same")
    with working("same", pong) as one:
        asked = inspect(timeout=10)
        assert asked.ping() == {"same": {"ok": "pong"}}
        assert asked.missing() == {f"same ({dead.pk})": "dead"}
        with working("same", pong) as two:
            assert inspect(timeout=10).ping().keys() == {f"same ({one})", f"same ({two})"}


def test_refusals_are_answers() -> None:
    with working("one", refuse):
        asked = inspect(timeout=10)
        assert asked.stats() == {"one": {"error": "no stats"}} and asked.replies.failed == {"one"}
        assert control.shutdown(reply=True, timeout=10) == [{"one": {"error": "no shutdown"}}]


def test_command_outlives_the_patience_of_its_sender_and_a_question_does_not() -> None:
    with working("silent") as silent:
        assert control.shutdown(reply=True, timeout=0.1) == []
        assert inspect(timeout=0.1).ping() is None
        control.pool_grow(2)
        told = Command.objects.filter(worker=silent).order_by("pk").values_list("verb", "arguments")
        assert list(told) == [("shutdown", {}), ("pool_grow", {"n": 2})]


def test_what_the_table_knows_is_read_from_it() -> None:
    """A question about delayed messages costs no worker anything."""

    def serves(verb: str, arguments: Any) -> Said:
        return [{"name": "mail"}], False

    later = add.apply_async((1, 2), queue="mail", countdown=60)
    sooner = add.apply_async((1, 2), queue="mail", countdown=30)
    add.apply_async((1, 2), queue="mail")
    add.apply_async((1, 2), queue="audio", countdown=60)
    with working("one", serves):
        ((first, second),) = inspect(timeout=10).scheduled().values()
    assert (first["request"]["id"], second["request"]["id"]) == (sooner.id, later.id)


def test_open_transaction_would_keep_workers_from_answering() -> None:
    with working("one", pong), transaction.atomic():
        if connection.vendor == "sqlite":
            with pytest.raises(RuntimeError, match="after the commit"):
                control.ping()
        else:
            assert control.ping(timeout=10) == [{"one": {"ok": "pong"}}]


@pytest.mark.postgres
def test_without_announcements_patience_is_longer(settings: Any) -> None:
    """As long as a worker may take until it looks by itself."""
    settings.DJTASKS = {"NOTIFY": False, "POLL_SECONDS": 2}
    with working("one", pong):
        assert inspect(timeout=0.5).ping() == {"one": {"ok": "pong"}}
