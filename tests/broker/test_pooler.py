"""Behind a pooler that lends connections by transaction, of which nobody was told: C11."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections

from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.broker.vendors.base import MESSAGES_CHANNEL
from djtasks.broker.vendors.postgresql import warn_of_pooler
from djtasks.domain.identifiers import uuid7
from tests.bouncer import PgBouncer
from tests.broker.sentences import DONE, demand, exchange, reserve, send, settled

pytestmark = pytest.mark.postgres

LEFT = """
SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode'), current_setting('statement_timeout'),
    (SELECT count(*) FROM pg_prepared_statements)
"""


@pytest.fixture
def bouncer(transactional_db: None) -> Iterator[PgBouncer]:
    """One connection to the server, which all share."""
    usual = connections["default"].settings_dict
    kept = dict(usual)
    with PgBouncer(os.environ["DATABASE_URL"], size=1) as started:
        connections["default"].close()
        usual |= started.place
        yield started
        connections["default"].close()
        usual.clear()
        usual.update(kept)


@pytest.fixture
def pooled(bouncer: PgBouncer) -> Iterator[Vendor]:
    vendor = private_vendor()
    yield vendor
    vendor.connection.close()


def left(bouncer: PgBouncer) -> tuple[Any, ...]:
    """Return what the next client finds in the session."""
    with psycopg.connect(bouncer.url, autocommit=True, prepare_threshold=None) as other:
        found: tuple[Any, ...] = other.execute(LEFT).fetchone() or ()
    return found


def test_worker_leaves_nothing_in_the_sessions_it_is_lent(bouncer: PgBouncer, pooled: Vendor) -> None:
    """C11: neither its settings nor prepared statements, and they hold for its own statements all the same."""
    before = left(bouncer)
    send(pooled, 20)
    for _ in range(10):
        for message in reserve(pooled, 2):
            assert settled(pooled, message.token)
            assert left(bouncer) == before
    assert before[0] == "on" and before[3] == 0


def test_nothing_is_asked_of_the_pooler_after_an_exchange(pooled: Vendor, tmp_path: Path) -> None:
    """C11: a session that is lent for anything else stays lent as long as we are idle."""
    exchange(pooled, wanted=demand())
    raw = pooled.connection.connection.pgconn
    with (tmp_path / "trace").open("w+") as trace:
        raw.trace(trace.fileno())
        for _ in range(20):
            exchange(pooled, wanted=demand())
        raw.untrace()
        trace.seek(0)
        sent = re.findall(r"\tF\t\d+\t(\w+)", trace.read())
    # Both are answered with word that the session is free, which a Flush is not.
    assert sent.count("Sync") == 20 and sent[-1] in {"Sync", "Query"}


def test_caller_prepares_nothing_there(bouncer: PgBouncer) -> None:
    """C11: not even after so many calls that it would pay."""
    usual, other = shared_vendor(), private_vendor()
    for _ in range(12):
        send(usual), send(usual, 2), send(other)
    other.connection.close()
    assert left(bouncer)[3] == 0
    assert len(reserve(usual)) == 48


def test_nobody_listens_there_and_that_is_said_once(pooled: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    """C11, C10: a pooler takes LISTEN, and nothing ever comes of it."""
    warn_of_pooler.cache_clear()
    with caplog.at_level(logging.WARNING, logger="djtasks"):
        for _ in range(3):
            with pooled.listen(MESSAGES_CHANNEL) as listener:
                assert not listener.hears and list(listener.wait(0.01)) == []
    assert [record.message.count("behind a pooler") for record in caplog.records] == [1]


@pytest.mark.parametrize(("notify", "hears", "warns"), [(True, True, 0), (False, False, 0)])
def test_who_knows_better_is_heeded(
    pooled: Vendor, settings: Any, caplog: pytest.LogCaptureFixture, notify: bool, hears: bool, warns: int
) -> None:
    """C11: a pooler may lend whole sessions, for which LISTEN is right."""
    settings.DJTASKS = {"NOTIFY": notify}
    warn_of_pooler.cache_clear()
    with pooled.listen(MESSAGES_CHANNEL) as listener:
        assert listener.hears is hears
    assert len(caplog.records) == warns


def test_explicit_prepared_statements_are_kept_to(bouncer: PgBouncer, settings: Any) -> None:
    """C11: for a pooler that knows them; this one does not, and the session shows what came of it."""
    settings.DJTASKS = {"PREPARED_STATEMENTS": True}
    vendor = private_vendor()
    exchange(vendor, wanted=demand())
    assert left(bouncer)[0] == "off" and left(bouncer)[3] > 0
    vendor.connection.close()


def test_direct_connection_is_no_pooler(private: Vendor) -> None:
    """C11: whoever answers is whom we have connected to."""
    message = send(private)[0]
    with private.listen(MESSAGES_CHANNEL) as listener:
        assert listener.hears
    assert settled(private, reserve(private)[0].token, DONE) and message


def test_worker_holds_no_lock_in_a_session_it_is_lent(pooled: Vendor) -> None:
    """H5, C11: whoever gets the session next would go on living for it."""
    assert not pooled.vouch_for(str(uuid7()))
    with pooled.connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone() == (0,)
