"""Whom an announcement wakes: H2, C9."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from djtasks import enqueue_many
from djtasks.broker.vendors import postgresql
from djtasks.models import Worker
from djtasks.worker.heartbeat import concerns
from tests.helpers import wait_until
from tests.tasks import note
from tests.worker.test_beating import Beat, beating
from tests.worker.test_verbs import supervisor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

WORKERS = 8


@pytest.fixture
def beats() -> Iterator[list[Beat]]:
    """Idle workers that listen."""
    with ExitStack() as stack:
        made = [stack.enter_context(beating()) for _ in range(WORKERS)]
        wait_until(lambda: Worker.objects.filter(listening=True).count() == WORKERS)
        # As each begins, it looks at what came before; and once more at what came before that was known.
        wait_until(lambda: all(beat.announcements >= 2 for beat in made))
        # Who sends for the first time finds out that somebody listens, and wakes them all.
        postgresql._with_listeners.clear()
        before = [beat.announcements for beat in made]
        note.delay("diary", "word")
        wait_until(lambda: all(beat.announcements > count for beat, count in zip(made, before, strict=True)))
        yield made


def woken_by(beats: list[Beat], send: object, least: int) -> list[int]:
    """Send; return who was woken, once as many were as must be and a later announcement has come to all."""
    before = [beat.announcements for beat in beats]
    assert callable(send)
    send()
    wait_until(lambda: sum(beat.announcements for beat in beats) >= sum(before) + least)
    return [number for number, beat in enumerate(beats) if beat.announcements > before[number]]


def test_one_message_wakes_two_workers_and_not_always_the_same(beats: list[Beat]) -> None:
    """H2: at most two reservations for it, however many wait."""
    turns = [woken_by(beats, lambda: note.delay("diary", "word"), least=2) for _ in range(20)]
    assert median(len(woken) for woken in turns) <= 2
    assert len(Counter(number for woken in turns for number in woken)) >= WORKERS / 2


def test_who_finds_nobody_chooses_nobody(beats: list[Beat]) -> None:
    """H2: choosing has its price, also where there is nobody to be chosen."""
    Worker.objects.update(listening=False)
    with CaptureQueriesContext(connection) as statements:
        for _ in range(3):
            note.delay("diary", "word")
    assert ["random()" in query["sql"] for query in statements] == [True, False, False]


def test_many_messages_wake_all(beats: list[Beat]) -> None:
    """H2: there is something for everybody."""
    everybody = list(range(WORKERS))
    assert woken_by(beats, lambda: enqueue_many([(note, ("d", "w"))] * 20), least=WORKERS) == everybody


def test_only_those_are_woken_who_serve_the_queue(beats: list[Beat]) -> None:
    """H2."""
    ours = beats[3]
    Worker.objects.exclude(pk=ours.id).update(queues=["other", "more"])
    Worker.objects.filter(pk=ours.id).update(queues=["more", "default"])
    Worker.objects.filter(pk=beats[4].id).update(queues=None, excluded=["default"])
    assert woken_by(beats, lambda: note.delay("diary", "word"), least=1) == [3]


@pytest.mark.parametrize(
    ("announcement", "answer"), [("mail", True), ("mail me", True), ("mail her me", True), ("mail her", False)]
)
def test_announcement_names_those_it_is_for_or_nobody(announcement: str, answer: bool) -> None:
    assert concerns("me", announcement) is answer


def test_worker_listens_unless_it_has_been_busy_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """C9: when it last looked in vain says nothing of how busy it has been since."""
    worker = supervisor()
    monkeypatch.setattr("djtasks.worker.supervisor.BUSY_SECONDS", 0.2)
    worker._saturated(False)
    idle_until = time.monotonic() + 0.3
    wait_until(lambda: time.monotonic() > idle_until)
    worker._saturated(True)
    assert worker.heartbeat.listening
    wait_until(lambda: worker._saturated(True) or not worker.heartbeat.listening)
    worker._saturated(False)
    assert worker.heartbeat.listening
    worker.pool.close()
