"""What PostgreSQL is promised, and what is promised of it: locks, commits, sessions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection, connections
from psycopg import errors

from djtasks.broker.settle import settle
from djtasks.broker.vendors import Vendor, private_vendor, shared_vendor
from djtasks.broker.vendors import postgresql_parameters as parameters
from djtasks.broker.vendors.base import MESSAGES_CHANNEL
from djtasks.broker.vendors.postgresql_settling import Settling
from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Retry, Settlement
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Worker
from tests.broker.sentences import (
    DONE,
    LEASE,
    ask,
    demand,
    error,
    exchange,
    held,
    let_leases_lapse,
    new,
    open_transaction,
    reserve,
    send,
    settled,
)
from tests.broker.test_plans import live
from tests.helpers import wait_until

pytestmark = pytest.mark.postgres


def setting(vendor: Vendor, name: str) -> str:
    return ask(vendor, "SELECT current_setting(%s)", name)[0][0]


# What it costs


def test_only_what_a_caller_has_named_is_looked_for_among_results(private: Vendor) -> None:
    """Nobody pays for an id that was given twice but who gives ids: theirs go another way from the start."""
    named, ours = str(uuid4()), new().id
    settlements = [Settlement(Token(id, 1), DONE) for id in (named, ours)]
    settling = Settling(settlements, "host", None, all_new=True)
    assert [settlement.token.id for settlement in settling.successes] == [ours]
    assert [ending.token.id for ending in settling.endings] == [named]


def test_migration_leaves_room_for_leases(private: Vendor) -> None:
    ((options,),) = ask(private, "SELECT reloptions FROM pg_class WHERE relname = 'djtasks_message'")
    assert int(dict(option.split("=") for option in options)["fillfactor"]) <= 50


def test_idle_worker_writes_nothing(private: Vendor) -> None:
    """C15, H5"""
    send(private, 3, delay=60.0)
    with open_transaction(private):
        assert reserve(private) == []
        assert ask(private, "SELECT pg_current_xact_id_if_assigned()") == [(None,)]


def test_exchange_is_one_transaction(private: Vendor) -> None:
    """C15"""
    message = held(private)
    send(private)
    exchange(private, [Settlement(message.token, DONE)], wanted=demand())
    (settled_by,) = ask(private, "SELECT xmin::text FROM djtasks_result")
    (reserved_by,) = ask(private, "SELECT xmin::text FROM djtasks_message")
    assert settled_by == reserved_by


def test_no_savepoint_is_ever_set(private: Vendor) -> None:
    """C16"""
    with tempfile.TemporaryFile("w+") as log:
        private.connection.ensure_connection()
        pgconn = private.connection.connection.pgconn
        pgconn.trace(log.fileno())
        with open_transaction(private):
            (known, *_) = send(private, 8)
            for messages in ([new(id=known)], [new(), new(id=known)]):
                with pytest.raises(AlreadyEnqueued):
                    private.insert(messages)
        live(private)
        private.revoke(UUID(send(private)[0]), error("stop"), hostname="", retention=None)
        private.purge_results(10)
        pgconn.untrace()
        log.seek(0)
        said = log.read()
    assert "DELETE FROM djtasks_message" in said and "SAVEPOINT" not in said


# Commits


def test_announcement_is_made_only_where_a_worker_listens(private: Vendor) -> None:
    """C9"""
    usual = shared_vendor()
    with private.listen(MESSAGES_CHANNEL) as listener:
        send(usual)
        worker = Worker.objects.create(name="w", host="h", pid=1, pool="solo", slots=1, listening=False)
        send(usual, 2)
        assert list(listener.wait(0.0)) == []
        Worker.objects.filter(pk=worker.pk).update(listening=True)
        usual.insert([new(queue="a"), new(queue="b"), new(queue="a")])
        heard: set[str] = set()
        wait_until(lambda: bool(heard.update(each.payload for each in listener.wait(0.05)) or heard == {"a", "b"}))


def test_broken_statement_leaves_the_connection_usable(private: Vendor) -> None:
    message = held(private)
    for text in ("a\0b", "\ud800"):
        with pytest.raises(DatabaseError):
            exchange(private, [Settlement(message.token, Retry("{}", queue=text))], wanted=demand())
    with pytest.raises(DatabaseError) as caught:
        exchange(private, [Settlement(message.token, Retry("{}", queue="q" * 200))], wanted=demand())
    assert private.is_refusal(caught.value)
    assert settled(private, message.token)


def test_limits_of_the_server_are_a_refusal(private: Vendor) -> None:
    failure = DatabaseError()
    failure.__cause__ = errors.ProgramLimitExceeded("index row size 3000 exceeds maximum")
    assert private.is_refusal(failure)


LOST = [errors.ReadOnlySqlTransaction, errors.AdminShutdown, errors.UndefinedColumn, errors.DiskFull]


@pytest.mark.parametrize("cause", LOST)
def test_trouble_of_the_server_is_no_outcomes_fault(private: Vendor, cause: type[psycopg.Error]) -> None:
    """C5, C14"""
    failure = DatabaseError()
    failure.__cause__ = cause("no")
    assert not private.is_refusal(failure)


def test_server_that_became_read_only_marks_nothing_as_failed(private: Vendor) -> None:
    """C5"""
    message = held(private)
    ask(private, "SELECT set_config('default_transaction_read_only', 'on', false)")
    with pytest.raises(DatabaseError):
        settle(private, [Settlement(message.token, DONE)])
    ask(private, "SELECT set_config('default_transaction_read_only', 'off', false)")
    assert settle(private, [Settlement(message.token, DONE)]).settled == {message.token}


def test_connection_that_does_not_answer_is_broken_off_from_another_thread(private: Vendor) -> None:
    """C4: whoever waits for the answer gets an error at once, and makes a new connection."""
    message = held(private)
    ((pid,),) = ask(private, "SELECT pg_backend_pid()")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(ask, private, "SELECT pg_sleep(60)")
        wait_until(
            lambda: ask(shared_vendor(), "SELECT state FROM pg_stat_activity WHERE pid = %s", pid) == [("active",)]
        )
        private.cut()
        assert isinstance(waiting.exception(timeout=10), DatabaseError)
    ask(shared_vendor(), "SELECT pg_terminate_backend(%s)", pid)
    private.connection.close()
    private.cut()
    assert settled(private, message.token)


LOST_SERVERS = ["25006", "57P01", "57P02", "57P03", "08000", "08003", "08006", "53300"]


@pytest.mark.parametrize("sqlstate", LOST_SERVERS)
def test_lost_servers_are_neither_tried_again_at_once_nor_an_outcomes_fault(private: Vendor, sqlstate: str) -> None:
    """C5, C13: they are waited for."""
    failure = OperationalError()
    failure.__cause__ = errors.lookup(sqlstate)("no")
    assert not private.is_refusal(failure) and not private.is_transient(failure)


# Sessions


def test_private_session_is_set_up_for_the_queue_each_time_it_connects(private: Vendor) -> None:
    for _ in range(2):
        exchange(private, wanted=demand())
        private.living([new().id])
        assert setting(private, "plan_cache_mode") == "force_generic_plan"
        assert setting(private, "enable_seqscan") == "off" and setting(private, "jit") == "off"
        assert setting(private, "statement_timeout") == "1min"
        assert ask(private, "SELECT count(*) > 0 FROM pg_prepared_statements") == [(True,)]
        private.connection.close()


def test_session_that_was_cut_off_is_set_up_again(private: Vendor) -> None:
    """C2"""
    message = held(private)
    ((pid,),) = ask(private, "SELECT pg_backend_pid()")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(DatabaseError) as caught:
        exchange(private, [Settlement(message.token, DONE)], wanted=demand())
    assert not private.is_refusal(caught.value) and not private.is_transient(caught.value)
    private.connection.close()
    assert settled(private, message.token)
    assert setting(private, "plan_cache_mode") == "force_generic_plan"


def test_applications_session_stays_as_it_is() -> None:
    usual = shared_vendor()
    names = ("plan_cache_mode", "enable_seqscan", "jit", "statement_timeout", "lock_timeout")
    before = [setting(usual, name) for name in names]
    message = held(usual)
    assert usual.renew([message.token], LEASE) and settled(usual, message.token)
    assert usual.revoke(UUID(send(usual)[0]), error("stop"), hostname="", retention=None) == "revoked"
    assert [setting(usual, name) for name in names] == before
    assert ask(usual, "SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_behind_a_pooler_nothing_stays_in_the_session(settings: Any) -> None:
    """C11"""
    settings.DJTASKS = {"PREPARED_STATEMENTS": False}
    vendor = private_vendor()
    send(vendor, 10)
    live(vendor)
    assert setting(vendor, "enable_seqscan") == "on" and setting(vendor, "plan_cache_mode") == "auto"
    assert ask(vendor, "SELECT count(*) FROM pg_prepared_statements") == [(0,)]
    with open_transaction(vendor):
        reserve(vendor)
        assert setting(vendor, "enable_seqscan") == "off"
    vendor.connection.close()


@pytest.fixture
def role() -> Iterator[Any]:
    """Settings for sessions that begin from here on, in this database alone: other tests run beside this one."""
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        yield lambda assignment: cursor.execute(f"ALTER DATABASE {database} SET {assignment}")
        cursor.execute(f"ALTER DATABASE {database} RESET ALL")


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_isolation_of_the_role_does_not_reach_the_queue(role: Any, level: str) -> None:
    """B4"""
    role(f"default_transaction_isolation = '{level}'")
    first, second = private_vendor(), private_vendor()
    message = held(first)
    let_leases_lapse()
    with open_transaction(second):
        second.connection.connection.execute("SELECT 1")
    assert setting(first, "transaction_isolation") == "read committed"
    assert settled(first, message.token)
    for vendor in (first, second):
        vendor.connection.close()


@pytest.mark.parametrize("timeout", ["statement_timeout", "lock_timeout"])
def test_timeouts_of_the_role_are_not_the_queues(role: Any, timeout: str) -> None:
    """C12"""
    # Short for so many messages, but not for the words with which Django opens a connection.
    role(f"{timeout} = '40ms'")
    vendor = private_vendor()
    reserve(vendor)
    assert setting(vendor, timeout) in ("1min", "5s")
    send(vendor, 4000)
    messages = reserve(vendor, limit=4000)
    assert len(messages) == 4000
    assert len(exchange(vendor, [Settlement(message.token, DONE) for message in messages]).settled) == 4000
    vendor.connection.close()


@pytest.fixture
def options() -> Iterator[dict[str, Any]]:
    """OPTIONS of the database, for connections that are made from here on."""
    usual = connections["default"].settings_dict
    kept = usual.get("OPTIONS") or {}
    usual["OPTIONS"] = dict(kept)
    yield usual["OPTIONS"]
    usual["OPTIONS"] = kept


def test_private_connection_needs_no_pool_and_no_isolation_level_of_the_application(options: dict[str, Any]) -> None:
    """J5"""
    options |= {"pool": {"min_size": 1}, "isolation_level": psycopg.IsolationLevel.SERIALIZABLE, "connect_timeout": 7}
    vendor = private_vendor()
    message = held(vendor)
    assert settled(vendor, message.token)
    assert vendor.connection.pool is None
    assert setting(vendor, "transaction_isolation") == "read committed"
    info = vendor.connection.connection.info.get_parameters()
    assert (info["connect_timeout"], info["keepalives_idle"], info["tcp_user_timeout"]) == ("7", "10", "20000")
    assert options["isolation_level"] is psycopg.IsolationLevel.SERIALIZABLE and "pool" in options
    vendor.connection.close()


def test_queue_works_on_a_connection_with_server_side_binding(options: dict[str, Any]) -> None:
    """J5"""
    options["server_side_binding"] = True
    usual = shared_vendor().connection
    usual.close()
    try:
        vendor = shared_vendor()
        send(vendor), send(vendor, 8)
        live(vendor)
        assert vendor.now()
    finally:
        usual.close()


def test_whoever_wraps_queries_may_send_while_it_does(private: Vendor) -> None:
    """Between a statement of ours and its answer lies their own."""
    usual, also = shared_vendor(), [new()]

    def send_also(execute: Any, *query: Any) -> Any:
        answer = execute(*query)
        if also:
            usual.insert([also.pop()])
        return answer

    send(usual)  # and so there is a cursor to be used again
    with usual.connection.execute_wrapper(send_also):
        send(usual)
    assert len(reserve(private)) == 3


# Literals

TEXTS = [
    "",
    "a",
    "NULL",
    "null",
    None,
    '"',
    "\\",
    '\\"',
    "a,b",
    "{}",
    "{a}",
    " ",
    "\n\t",
    "ü€😀",
    "\1",
    "'",
    "%s",
    "\\N",
]


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1], [None], [None, None], ["\1\1"], []])
def test_array_of_texts_arrives_as_it_was(private: Vendor, texts: list[str | None]) -> None:
    expected = [None if text == "\1" else text for text in texts]
    assert ask(private, "SELECT %s::text[]", parameters.texts(texts)) == [(expected,)]


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfff"])
def test_text_that_no_column_holds_is_refused_at_once(text: str) -> None:
    for texts in ([text], ["a", text, None], [text, text]):
        with pytest.raises(DatabaseError):
            parameters.texts(texts)


def test_array_of_numbers_arrives_as_it_was(private: Vendor) -> None:
    floats = [None, 0.0, -1.5, 1e300, 1_700_000_000.123456, float("inf")]
    assert ask(private, "SELECT %s::float8[]", parameters.plain(floats)) == [(floats,)]
    assert ask(private, "SELECT %s::bool[]", parameters.plain([True, None, False])) == [([True, None, False],)]
    assert ask(private, "SELECT %s::int[]", parameters.plain([])) == [([],)]
