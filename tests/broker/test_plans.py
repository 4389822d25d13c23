"""What is read and written for a message, however many others wait: plans, pages, log, dead rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.domain.messages import Reservation
from djtasks.domain.outcomes import Released, Retry, Settlement, Success
from djtasks.models import Message
from tests.broker.sentences import (
    DONE,
    LEASE,
    WORKER,
    ask,
    demand,
    exchange,
    open_transaction,
    reserve,
    send,
)
from tests.broker.test_reserve import marks_behind
from tests.helpers import wait_until
from tests.lifecycle.test_outages import queue_on
from tests.servers import PostgresServer

pytestmark = pytest.mark.postgres


# Plans


def live(vendor: Vendor) -> None:
    """Let every statement of a message's life be planned, and run once."""
    messages = reserve(vendor, limit=6)
    marks = marks_behind(messages)
    messages += reserve(vendor, limit=2, marks=marks)
    reserve(vendor, limit=1, without=("another",), marks=marks, since=1.0, ageing=1.0)
    exchange(vendor, wanted=demand(0, only=("another",)))
    tokens = [message.token for message in messages]
    vendor.renew(tokens, LEASE)
    vendor.renew([*tokens, tokens[0]._replace(deliveries=99)], LEASE)
    exchange(vendor, begin=[(token, True) for token in tokens])
    outcomes = [Success("1"), Retry("{}", delay=60.0), Released(), Success("1")]
    settlements = [Settlement(token, outcome) for token, outcome in zip(tokens, outcomes, strict=False)]
    assert len(exchange(vendor, settlements, wanted=demand(2)).settled) == 4
    ids = [token.id for token in tokens]
    vendor.await_results(ids)
    vendor.await_results(ids[:1])
    vendor.living(ids)
    vendor.recover(messages[0].id, tokens, LEASE)


def plans(vendor: Vendor) -> dict[str, dict[str, Any]]:
    """Return the plans that this session keeps."""
    kept = {}
    known = ask(vendor, "SELECT name, statement, array_length(parameter_types, 1) FROM pg_prepared_statements")
    for name, statement, count in known:
        if "djtasks_message" in statement:
            values = f"({', '.join(['NULL'] * count)})" if count else ""
            ((plan,),) = ask(vendor, f"EXPLAIN (FORMAT JSON) EXECUTE {name} {values}")
            kept[statement] = plan[0]["Plan"]
    return kept


def searches(plan: dict[str, Any], above: str = "") -> Iterator[dict[str, Any]]:
    """Yield what reads more of our tables than it finds.

    A row is found by its place or by a condition on the index; to take the first entry of an index is no search either.
    """
    kind = plan["Node Type"]
    finds = kind == "Tid Scan" or "Index Cond" in plan or (above == "Limit" and kind.startswith("Index"))
    if plan.get("Relation Name") in ("djtasks_message", "djtasks_result") and kind.endswith("Scan") and not finds:
        yield plan
    for part in plan.get("Plans", ()):
        yield from searches(part, above if kind == "Result" else kind)


def assert_all_find_by_index(vendor: Vendor) -> None:
    known = plans(vendor)
    assert len(known) >= 11
    for statement, plan in known.items():
        # To look for a worker's leases without their ids is the one search there is; it comes after outages only.
        if "WHERE worker =" not in statement:
            assert list(searches(plan)) == [], statement


def fill(count: int) -> None:
    """Insert many messages at once, as nobody has analyzed them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, queue) "
            "SELECT gen_random_uuid(), 'tests.add', 'q' || i %% 3 FROM generate_series(1, %s) AS i",
            [count],
        )


def test_plans_find_by_index_in_a_table_that_was_empty_and_is_full(private: Vendor) -> None:
    """C18"""
    send(private, 10)
    live(private)
    assert_all_find_by_index(private)
    fill(100_000)
    live(private)
    assert_all_find_by_index(private)
    fresh = private_vendor()
    live(fresh)
    assert_all_find_by_index(fresh)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE djtasks_message")
    live(fresh)
    assert_all_find_by_index(fresh)
    fresh.connection.close()


@pytest.mark.parametrize("how", ["ANALYZE", "VACUUM ANALYZE"])
@pytest.mark.parametrize("count", [20, 50, 90, 150, 500, 5000])
def test_plans_find_by_index_when_statistics_mislead(private: Vendor, count: int, how: str) -> None:
    """C18: nothing was leased when they were made."""
    fill(count)
    with connection.cursor() as cursor:
        cursor.execute(f"{how} djtasks_message")
    live(private)
    assert_all_find_by_index(private)


@pytest.mark.parametrize("before", [1_000, 20_000])
@pytest.mark.parametrize("left", [0, 10, 300])
@pytest.mark.parametrize("how", ["ANALYZE", "VACUUM ANALYZE"])
def test_plans_find_by_index_in_a_table_that_was_full_and_is_nearly_empty(
    private: Vendor, before: int, left: int, how: str
) -> None:
    """C18: its indexes are large, and it will be full again."""
    fill(before)
    kept = list(Message.objects.values_list("pk", flat=True)[:left])
    Message.objects.exclude(pk__in=kept).delete()
    with connection.cursor() as cursor:
        cursor.execute(f"{how} djtasks_message")
    send(private, 10)
    live(private)
    assert_all_find_by_index(private)


# What is read

MANY = 100_000
# Measured are up to 360 for twenty messages; the table has at least 3,200, and the index in which they wait 800.
FEW = 600


def pages(vendor: Vendor) -> int:
    """Count the pages of messages, and of their indexes, that this transaction has looked at so far."""
    query = "SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class WHERE relname LIKE 'djtasks_message%%'"
    return int(ask(vendor, query)[0][0])


@contextmanager
def table_of_its_own(vendor: Vendor) -> Iterator[None]:
    """Give the table new files, which nobody else sees, or has counted, and which are gone with the transaction."""
    with open_transaction(vendor, commit=False):
        with vendor.connection.cursor() as cursor:
            cursor.execute("TRUNCATE djtasks_message")
        yield


def load(vendor: Vendor, count: int, *, priority: int = 0, due: str = "an hour ago") -> None:
    """Insert many messages at once, in the transaction that is open."""
    interval = {"an hour ago": "-1 hour", "in an hour": "1 hour"}[due]
    with vendor.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, queue, priority, due_at) "
            "SELECT gen_random_uuid(), 'tests.add', 'q' || i %% 3, %s, now() + %s::interval + i * interval '1 us' "
            "FROM generate_series(1, %s) AS i",
            [priority, interval, count],
        )


class Acts:
    """What a worker does with twenty messages at a time, each act with the number of pages that it has looked at."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.read: dict[str, int] = {}

    def reserve(self, name: str, **given: Any) -> list[Reservation]:
        messages: list[Reservation] = []
        self.do(name, lambda: messages.extend(reserve(self.vendor, limit=20, **given)))
        assert len(messages) == 20, name
        return messages

    def do(self, name: str, act: Callable[[], object]) -> None:
        before = pages(self.vendor)
        act()
        self.read[name] = pages(self.vendor) - before

    @property
    def dear(self) -> dict[str, int]:
        return {name: count for name, count in self.read.items() if count > FEW}


def test_reserving_reads_few_pages_however_many_wait(private: Vendor) -> None:
    """C18: right after a load that nobody has analysed, with as many delayed ones of a higher priority in the way."""
    acts = Acts(private)
    with table_of_its_own(private):
        load(private, MANY)
        load(private, MANY, priority=9, due="in an hour")
        marks = marks_behind(acts.reserve("from the start"))
        acts.reserve("from marks", marks=marks)
        acts.reserve("without some", without=("another",))
        acts.reserve("without some, from marks", without=("another",), marks=marks, since=1.0)
        acts.reserve("the oldest first", ageing=1.0)
        acts.do("asking", lambda: exchange(private, wanted=demand(0, without=("another",))))
        let_lapse(private)
        lapsed = acts.reserve("with lapsed leases", queues=(marks[0].queue,))
        assert {message.losses for message in lapsed} == {1}
    assert acts.dear == {}


def test_what_follows_reads_few_pages_however_many_wait(private: Vendor) -> None:
    """C18"""
    acts = Acts(private)
    with table_of_its_own(private):
        load(private, MANY)
        tokens = [message.token for message in acts.reserve("reserve")]
        ids = [token.id for token in tokens]
        acts.do("renew", lambda: private.renew(tokens, LEASE))
        acts.do("renew what is lost", lambda: private.renew([token._replace(deliveries=9) for token in tokens], LEASE))
        acts.do("revoked", lambda: private.revoked(tokens))
        acts.do("note", lambda: private.note(dict.fromkeys(tokens, "1")))
        acts.do("await", lambda: private.await_results(ids))
        acts.do("living", lambda: private.living(ids))
        acts.do("begin", lambda: exchange(private, begin=[(token, True) for token in tokens]))
        acts.do("settle", lambda: exchange(private, [Settlement(token, DONE) for token in tokens]))
        others = [Settlement(message.token, Retry("{}", delay=60.0)) for message in acts.reserve("reserve others")]
        acts.do("put back", lambda: exchange(private, others))
        acts.do("send", lambda: send(private, 20))
        acts.do("send one", lambda: send(private))
    assert acts.dear == {}


def test_recovering_reads_the_table_once(private: Vendor) -> None:
    """It comes after outages only; an index of workers would make every lease dearer."""
    acts = Acts(private)
    with table_of_its_own(private):
        load(private, MANY // 5)
        ((table,),) = ask(private, "SELECT pg_relation_size('djtasks_message') / 8192")
        tokens = [message.token for message in acts.reserve("reserve")]
        acts.do("recover", lambda: private.recover(WORKER, tokens, LEASE))
    assert acts.read["recover"] < table + FEW


def test_marks_step_over_what_a_snapshot_keeps(private: Vendor) -> None:
    """C7: what this transaction has deleted stays in the index as under a snapshot that is held."""
    acts = Acts(private)
    with table_of_its_own(private):
        load(private, MANY // 2)
        # They are a microsecond apart: all but the last ten thousand.
        ask(
            private,
            "DELETE FROM djtasks_message WHERE due_at < now() - interval '1 hour' + interval '40 ms' RETURNING 1",
        )
        marks = marks_behind(acts.reserve("over all that is dead"))
        acts.reserve("from marks", marks=marks)
    assert list(acts.dear) == ["over all that is dead"]


def let_lapse(vendor: Vendor) -> None:
    """Let the time of all leases be over, in the transaction that is open."""
    ask(vendor, "UPDATE djtasks_message SET leased_until = now() - interval '1 s' WHERE worker IS NOT NULL RETURNING 1")


# What is written


TASKS = 500
# Measured: 1,052 bytes one at a time, 916 in batches; 1.1 rows.
BYTES = {1: 1580, 100: 1375}
DEAD_ROWS = 1.6


@pytest.fixture
def alone(pytestconfig: pytest.Config) -> Iterator[Vendor]:
    """The queue on a server of its own, whose log tells of nothing but messages."""
    quiet = {"autovacuum": "off", "full_page_writes": "off", "checkpoint_timeout": "1h"}
    with PostgresServer(pytestconfig.getoption("postgres_version"), **quiet) as server, queue_on(server):
        vendor = private_vendor()
        yield vendor
        vendor.connection.close()


def test_leases_are_heap_only_updates(alone: Vendor) -> None:
    """C7; while a snapshot is held, by an ANALYZE for one, PostgreSQL cannot clear the pages for them."""
    send(alone, 3000)
    before = updates(alone)
    reserved = [message for _ in range(30) for message in reserve(alone, limit=100)]
    alone.renew([message.token for message in reserved], LEASE)
    alone.connection.close()  # and so it reports what it has done
    wait_until(lambda: updates(alone)[0] - before[0] >= 6000)
    after = updates(alone)
    share = (after[1] - before[1]) / (after[0] - before[0])
    assert share > 0.9, share


def updates(vendor: Vendor) -> tuple[int, int]:
    query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'djtasks_message'"
    return ask(vendor, query)[0]


@pytest.mark.parametrize("batch", BYTES)
def test_whole_life_of_a_message_writes_little(alone: Vendor, batch: int) -> None:
    """C7: at most half as much again as was measured goes into the log, or is left for vacuum."""
    live_and_end(alone, batch)
    before = logged(alone)
    live_and_end(alone, batch)
    assert (logged(alone) - before) / TASKS < BYTES[batch]
    alone.connection.close()  # and so it reports what it has done
    wait_until(lambda: counted(alone, "djtasks_result")["n_tup_ins"] == 2 * TASKS)
    messages = counted(alone, "djtasks_message")
    assert messages["n_tup_hot_upd"] > 0.9 * messages["n_tup_upd"] >= 0.9 * 2 * TASKS
    assert messages["n_dead_tup"] < DEAD_ROWS * 2 * TASKS
    assert counted(alone, "djtasks_result")["n_dead_tup"] == 0


def live_and_end(vendor: Vendor, batch: int) -> None:
    """Send messages, acknowledge them early, and settle each batch with the reservation of the next."""
    for _ in range(0, TASKS, batch):
        send(vendor, batch)
    settlements: list[Settlement] = []
    while messages := exchange(vendor, settlements, wanted=demand(batch, begin=True)).supply.reservations:
        settlements = [Settlement(message.token, DONE) for message in messages]


def logged(vendor: Vendor) -> int:
    """Return how long the server's log of all writes is."""
    return int(ask(vendor, "SELECT pg_current_wal_insert_lsn() - '0/0'")[0][0])


def counted(vendor: Vendor, table: str) -> dict[str, int]:
    """Return what the server has counted of a table."""
    query = "SELECT to_json(t) FROM pg_stat_user_tables t WHERE relname = %s"
    return ask(vendor, query, table)[0][0]
