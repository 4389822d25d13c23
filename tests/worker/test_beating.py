"""The thread that holds the leases: A5, A6, A12, C2, C10."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from djtasks.broker.settle import settle
from djtasks.broker.vendors import private_vendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import Demand, Token
from djtasks.models import Worker
from djtasks.worker.heartbeat import Heartbeat
from djtasks.worker.holdings import Holdings
from tests.helpers import messages, wait_until
from tests.tasks import note

pytestmark = pytest.mark.django_db(transaction=True)

GONE = Token(str(uuid7()), 1)


class Beat:
    """A heartbeat, and what it has told."""

    def __init__(self, *tokens: Token) -> None:
        self.tokens = list(tokens)
        self.lost: list[Token] = []
        self.revoked: dict[Token, str] = {}
        self.announcements = 0
        self.troubles = 0
        self.id = str(uuid7())
        row = {"id": self.id, "name": "beat", "host": socket.gethostname(), "pid": os.getpid(), "pool": "", "slots": 1}
        self.held = Holdings()
        self.thread = Heartbeat(
            row,
            tokens=self._older_than,
            announced=self._announced,
            lost=self.lost.extend,
            revoked=self.revoked.update,
            notes=self.held.notes.copy,
            noted=self.held.noted,
        )

    def _older_than(self, seconds: float) -> list[Token]:
        if self.troubles:
            self.troubles -= 1
            raise RuntimeError("not now")
        return self.tokens

    def _announced(self) -> None:
        self.announcements += 1


@contextmanager
def beating(*tokens: Token, troubles: int = 0) -> Iterator[Beat]:
    beat = Beat(*tokens)
    beat.troubles = troubles
    beat.thread.start()
    try:
        yield beat
    finally:
        beat.thread.end()
        beat.thread.join(10)
        assert not beat.thread.is_alive()


@pytest.fixture(autouse=True)
def short_leases(settings: Any) -> None:
    settings.DJTASKS = {"LEASE_SECONDS": 1}


@pytest.fixture
def token() -> Token:
    """A lease of our own."""
    note.delay("diary", "word")
    vendor = private_vendor()
    demand = Demand(worker=str(uuid7()), limit=1, lease=1, begin=True)
    (message,) = settle(vendor, (), (), demand).supply.reservations
    vendor.connection.close()
    return message.token


def until_renewed(token: Token) -> None:
    """Wait for a lease to end later than any that is written now."""
    after = max(timezone.now(), messages().get(pk=token.id).leased_until) + timedelta(milliseconds=10)
    wait_until(lambda: messages().get(pk=token.id).leased_until > after)


def test_worker_shows_itself_while_it_lives() -> None:
    with beating() as beat:
        wait_until(lambda: Worker.objects.filter(pk=beat.id).exists())
    assert not Worker.objects.exists()


def test_leases_are_renewed_and_lost_ones_told(token: Token) -> None:
    """A5, A6."""
    with beating(token, GONE) as beat:
        until_renewed(token)
        wait_until(lambda: GONE in beat.lost)
        assert token not in beat.lost


def test_notes_are_written(token: Token) -> None:
    """RES-3: those of all runs together."""
    with beating(token) as beat:
        beat.held.notes |= {token: '{"done":1}', GONE: '{"done":1}'}
        wait_until(lambda: messages().get(pk=token.id).meta == {"done": 1})
        wait_until(lambda: token not in beat.held.notes)
        beat.held.notes[token] = '{"done":2}'
        wait_until(lambda: messages().get(pk=token.id).meta == {"done": 2})


@pytest.mark.postgres
def test_note_that_cannot_be_stored_stops_nothing(token: Token) -> None:
    """A6, E1."""
    with beating(token) as beat:
        beat.held.notes[token] = "\0"
        wait_until(lambda: token not in beat.held.notes)
        until_renewed(token)
        beat.held.notes[token] = "[]"
        wait_until(lambda: messages().get(pk=token.id).meta == [])


@pytest.mark.postgres
def test_lost_connection_is_made_anew(token: Token) -> None:
    """C2."""
    with beating(token) as beat:
        for _ in range(3):
            wait_until(lambda: Worker.objects.filter(pk=beat.id).exists())
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            until_renewed(token)
        assert beat.lost == []


def test_nothing_stops_it_but_its_end(token: Token) -> None:
    """A6: an error that nobody has thought of costs a beat, not the leases."""
    with beating(token, troubles=2) as beat:
        wait_until(lambda: not beat.troubles)
        until_renewed(token)


@pytest.mark.parametrize("restart", [False, True], ids=["from the start", "after an outage"])
def test_new_messages_are_announced(token: Token, restart: bool) -> None:
    """C10: listening begins anew with each connection, and what came between is looked for."""
    with beating(token, troubles=1 if restart else 0) as beat:
        wait_until(lambda: Worker.objects.filter(pk=beat.id).exists() and not beat.troubles)
        wait_until(lambda: beat.announcements >= (2 if restart else 1))
        before = beat.announcements
        note.delay("diary", "word")
        wait_until(lambda: beat.announcements > before)


@pytest.mark.postgres
def test_whoever_listens_again_looks_once_more() -> None:
    """C10: while it does not listen, nobody announces anything to it."""
    with beating() as beat:
        for listening in (True, False, True):
            before = beat.announcements
            beat.thread.listen(listening)
            wait_until(lambda listening=listening: Worker.objects.filter(pk=beat.id, listening=listening).exists())
        wait_until(lambda: beat.announcements > before)
