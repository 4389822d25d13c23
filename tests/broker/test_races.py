"""Two who want to write the same row: one of them does. B1, B3, B5, B9, G2, G4."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from djtasks.broker.patience import ATTEMPTS
from djtasks.broker.purge import purge_messages, purge_results
from djtasks.broker.renew import renew
from djtasks.broker.settle import settle
from djtasks.broker.vendors import Exchange, Vendor, private_vendor
from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Failure, Ignored, Outcome, Released, Retry, Settlement, Success
from djtasks.models import Message, Result
from tests.broker.conftest import Connect
from tests.broker.locks import meanwhile, until_someone_waits_for_a_lock, wait_shortly
from tests.broker.sentences import (
    DONE,
    LEASE,
    begun,
    demand,
    error,
    exchange,
    held,
    let_leases_lapse,
    lives,
    locks_rows,
    open_transaction,
    reserve,
    reserve_one,
    result,
    row,
    send,
    settled,
)

# Settling and lapsing


def test_settlement_before_the_lapse_is_found(connect: Connect) -> None:
    """B1"""
    holder, heir = connect(), connect()
    message = held(holder)
    let_leases_lapse()
    with meanwhile(lambda: reserve(heir)) as received, open_transaction(holder):
        assert settled(holder, message.token)
        received.start()
        if locks_rows(heir):
            assert received.result() == []  # a locked row is passed over
    assert received.result() == []
    assert result(message.id).state == "SUCCESS" and not lives(message.id)


@pytest.mark.parametrize("outcome", [DONE, Retry(error("again")), Released()], ids=["end", "retry", "release"])
@pytest.mark.parametrize("commit", [True, False], ids=["kept", "rolled back"])
def test_settlement_waits_for_the_reservation_of_its_lapsed_lease(
    connect: Connect, outcome: Outcome, commit: bool
) -> None:
    """B1"""
    holder, heir = connect(), connect()
    message = held(holder)
    let_leases_lapse()
    with meanwhile(lambda: settled(holder, message.token, outcome)) as late:
        with open_transaction(heir, commit=commit):
            assert reserve_one(heir).token == (message.id, 2)
            late.start()
            until_someone_waits_for_a_lock()
        assert late.result() is not commit
    if commit:
        assert row(message.id).deliveries == 2 and row(message.id).retries == 0 and result(message.id) is None
        assert settled(heir, Token(message.id, 2))


def test_settlement_waits_for_a_renewal_and_is_written(connect: Connect) -> None:
    consumer, heartbeat = connect(), connect()
    tokens = [held(consumer).token for _ in range(3)]
    settlements = [Settlement(token, outcome) for token, outcome in zip(tokens, (DONE, Released(), DONE), strict=True)]
    with meanwhile(lambda: exchange(consumer, settlements).settled) as late:
        with open_transaction(heartbeat):
            assert heartbeat.renew(tokens, LEASE) == set(tokens)
            late.start()
            until_someone_waits_for_a_lock()
        assert late.result() == set(tokens)


def test_begin_waits_for_a_renewal_and_is_written(connect: Connect) -> None:
    consumer, heartbeat = connect(), connect()
    token = held(consumer).token
    with meanwhile(lambda: begun(consumer, token)) as late:
        with open_transaction(heartbeat):
            assert heartbeat.renew([token], LEASE) == {token}
            late.start()
            until_someone_waits_for_a_lock()
        assert late.result()


@pytest.mark.parametrize("commit", [True, False], ids=["kept", "rolled back"])
def test_purge_waits_for_a_reservation(connect: Connect, commit: bool) -> None:
    """MON-6: what a worker has received in the last moment is not deleted under it."""
    holder, admin = connect(), connect()
    (message_id,) = send(holder)
    with meanwhile(lambda: purge_messages(admin)) as late:
        with open_transaction(holder, commit=commit):
            reserve_one(holder)
            late.start()
            until_someone_waits_for_a_lock()
        assert late.result() == (0 if commit else 1)
    assert lives(message_id) is commit


@pytest.mark.parametrize("commit", [True, False], ids=["kept", "rolled back"])
def test_begin_waits_for_a_revocation(connect: Connect, commit: bool) -> None:
    """B5, G6"""
    holder, admin = connect(), connect()
    message = held(holder, acks_late=False)
    with meanwhile(lambda: begun(holder, message.token)) as late:
        with open_transaction(admin, commit=commit):
            assert admin.revoke(UUID(message.id), error("stop"), hostname="", retention=None) == "revoked"
            late.start()
            until_someone_waits_for_a_lock()
        assert late.result() is not commit


def test_revocation_waits_for_a_begin(connect: Connect) -> None:
    """B5, G6"""
    holder, admin = connect(), connect()
    message = held(holder, acks_late=False)

    def revoke() -> str | None:
        return admin.revoke(UUID(message.id), error("stop"), hostname="", retention=None)

    with meanwhile(revoke) as late:
        with open_transaction(holder):
            assert begun(holder, message.token)
            late.start()
            until_someone_waits_for_a_lock()
        assert late.result() == "requested"


def test_revoked_messages_never_begin_and_all_others_do(connect: Connect) -> None:
    """B5: the answers of many revocations are true while workers reserve and begin."""
    ids = send(connect(), 200, acks_late=False)
    began: list[str] = []
    answers: dict[str, str | None] = {}

    def revoke(admin: Vendor) -> None:
        for message_id in random.Random(7).sample(ids, 100):
            answers[message_id] = admin.revoke(UUID(message_id), error("stop"), hostname="", retention=None)

    def work(worker: Vendor) -> None:
        for _ in range(1000):
            messages = reserve(worker, limit=5, begin=len(began) % 2 == 0)
            begin = [(message.token, False) for message in messages if message.started_at is None]
            began.extend(message.id for message in messages if message.started_at is not None)
            done = settle(worker, (), begin) if begin else Exchange(set(), set(), None)
            began.extend(token.id for token in done.begun)
            if not messages and not Message.objects.filter(leased_until=None).exists():
                return

    in_threads([revoke, work, work, work], connect)
    revoked = {message_id for message_id, answer in answers.items() if answer == "revoked"}
    assert len(began) == len(set(began)) and not revoked & set(began)
    assert set(began) | revoked == set(ids)
    assert {message_id for message_id in revoked if lives(message_id)} == set()


# Locks


def test_what_is_settled_and_begun_is_locked_in_one_order(connect: Connect) -> None:
    """B3: on PostgreSQL these are two statements; there it is done again."""
    if connection.vendor != "mysql":
        pytest.skip("others lock by whole statements, or all at once")
    consumer, other = connect(), connect()
    first, last = (held(consumer).token for _ in range(2))
    with meanwhile(lambda: exchange(consumer, [Settlement(last, DONE)], [(first, True)])) as late:
        with open_transaction(other):
            assert other.note({first: '"half"'}) == {first}
            late.start()
            until_someone_waits_for_a_lock()
            assert other.note({last: '"half"'}) == {last}
        assert late.result().settled == {last}


def test_settling_in_any_order_does_not_deadlock(connect: Connect) -> None:
    """B3: eight settle overlapping batches in random order, as after lost answers, while others renew and purge."""
    outcomes = [DONE, Failure(error("no")), Retry(error("again"), delay=60.0), Ignored(), Released(delay=60.0)]
    sender = connect()
    # With one lock for all there is nothing to lock crosswise.
    send(sender, 150 if locks_rows(sender) else 30)
    all_held = [message.token for message in reserve(sender, limit=150)]
    settlements = [Settlement(token, outcomes[index % 5]) for index, token in enumerate(all_held)]
    written: list[Token] = []
    ended = threading.Event()
    deadlocks = count_deadlocks()

    def settle_all(vendor: Vendor, seed: int) -> None:
        shuffled = random.Random(seed).sample(settlements, len(settlements))
        for start in range(0, len(shuffled), 30):
            # Not settle(), which would try again.
            written.extend(exchange(vendor, shuffled[start : start + 30], retention=-1.0).settled)

    def disturb(vendor: Vendor) -> None:
        while not ended.is_set():
            vendor.renew(all_held, LEASE)
            purge_results(vendor)

    def settlers(vendor: Vendor) -> None:
        others = [connect() for _ in range(7)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(settle_all, [vendor, *others], range(8)))
        ended.set()

    in_threads([settlers, disturb], connect)
    assert sorted(written) == sorted(all_held)
    assert count_deadlocks() == deadlocks


def test_every_message_ends_exactly_once_however_often_its_lease_lapses(connect: Connect) -> None:
    """G2, G4: the holders are always too late, or nearly."""
    outcomes = [DONE, Retry("{}"), Released(), Ignored(), Released(loss=True, error="{}"), Failure("{}")]
    # On MySQL those who are too late wait for each other, and the more there are the longer.
    sent = send(connect(), 10 if connection.vendor == "mysql" else 40)
    ended: list[str] = []

    def work(vendor: Vendor, seed: int) -> None:
        chance = random.Random(seed)
        mine: list[Token] = []
        # In the end they are in time: else it would be for chance to say when this is over.
        leases = chain(repeat(0.0, 40), repeat(LEASE))
        while Message.objects.exists():
            lease = next(leases)
            chance.shuffle(mine)
            split = chance.randrange(len(mine) + 1)
            settlements = [Settlement(token, chance.choice(outcomes)) for token in mine[:split]]
            begin = [(token, True) for token in mine[split:] if chance.random() < 0.5]
            wanted = demand(10, worker=str(uuid4()), lease=lease) if len(mine) < 20 else None
            done = settle(vendor, settlements, begin, wanted)
            ends = {each.token for each in settlements if not isinstance(each.outcome, Retry | Released)}
            ended.extend(token.id for token in done.settled & ends)
            mine = mine[split:] + [message.token for message in done.supply.reservations]
            if chance.random() < 0.3:
                renew(vendor, mine, lease)

    in_threads([lambda vendor, seed=seed: work(vendor, seed) for seed in range(4)], connect)
    assert Counter(ended) == Counter(sent)


def test_transient_error_is_tried_again(private: Vendor) -> None:
    """C12: another holds the row, or the file, for longer than one statement may wait."""
    message = held(private)
    failed = threading.Event()

    class Impatient(type(private)):  # type: ignore[misc]
        def exchange(self, *args: object, **kwargs: object) -> Exchange:
            try:
                return super().exchange(*args, **kwargs)
            except DatabaseError as refused:
                assert self.is_transient(refused) and not self.is_refusal(refused)
                failed.set()
                raise

    other = private_vendor()
    impatient = Impatient(other.connection, private=True)
    exchange(impatient)
    # Four times these fit into the time that is waited in all.
    wait_shortly(other)
    with meanwhile(lambda: settle(impatient, [Settlement(message.token, DONE)]).settled) as late:
        with open_transaction(private):
            private.renew([message.token], LEASE)
            late.start()
            assert failed.wait(10)
        assert late.result() == {message.token}
    other.connection.close()


def test_error_that_does_not_pass_is_raised(private: Vendor) -> None:
    attempts = []

    class Counting(type(private)):  # type: ignore[misc]
        def exchange(self, *args: object, **kwargs: object) -> Exchange:
            attempts.append(args)
            return super().exchange(*args, **kwargs)

    message = held(private)
    other = private_vendor()
    impatient = Counting(other.connection, private=True)
    exchange(impatient)
    attempts.clear()
    wait_shortly(other)
    with open_transaction(private):
        private.renew([message.token], LEASE)
        with pytest.raises(DatabaseError):
            settle(impatient, [Settlement(message.token, DONE)])
    # Nothing was wrong with the outcome: it is neither refused nor changed.
    assert len(attempts) == ATTEMPTS
    assert settle(impatient, [Settlement(message.token, DONE)]).settled == {message.token}
    other.connection.close()


# Deliveries

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(1, 3), st.integers(0, 1)),
        st.tuples(st.just("lapse"), st.just(0), st.just(0)),
        st.tuples(
            st.just("exchange"),
            st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["end", "drop", "retry", "release"])), max_size=5),
            st.lists(st.integers(0, 30), max_size=3),
        ),
        st.tuples(st.just("renew"), st.lists(st.integers(0, 30), max_size=5), st.just(0)),
    ),
    max_size=12,
)
OUTCOMES: dict[str, Outcome] = {
    "end": Success("1"),
    "drop": Ignored(),
    "retry": Retry("{}"),
    "release": Released(),
}


@limits(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_what_is_written_is_keyed_by_message_and_delivery(vendor: Vendor, steps: list[tuple]) -> None:
    """B9: against a model that knows of each message only its delivery and whether it is held."""
    Message.objects.all().delete()
    deliveries = dict.fromkeys(send(vendor, 3), 0)
    leased: set[str] = set()
    tokens: list[Token] = [Token(message_id, 0) for message_id in deliveries]

    def named(numbers: list[int]) -> list[Token]:
        return list(dict.fromkeys(tokens[number % len(tokens)] for number in numbers))

    def ours(some: list[Token]) -> set[Token]:
        return {token for token in some if token.id in leased and deliveries.get(token.id) == token.deliveries}

    for step, first, second in steps:
        if step == "reserve":
            for message in reserve(vendor, limit=first, lapsed=bool(second)):
                deliveries[message.id] += 1
                assert message.deliveries == deliveries[message.id]
                leased.add(message.id)
                tokens.append(message.token)
        elif step == "lapse":
            let_leases_lapse()
        elif step == "renew":
            assert vendor.renew(named(first), LEASE) == ours(named(first))
        else:
            by_token = {token: kind for number, kind in first for token in named([number])}
            settlements = [Settlement(token, OUTCOMES[kind]) for token, kind in by_token.items()]
            expected = ours(list(by_token))
            for token in expected:
                leased.discard(token.id)
                if by_token[token] in ("end", "drop"):
                    del deliveries[token.id]
            begin = named(second)
            done = exchange(vendor, settlements, [(token, True) for token in begin])
            assert (done.settled, done.begun) == (expected, ours(begin))
    rows = Message.objects.values_list("pk", "deliveries", "leased_until")
    assert {str(pk): number for pk, number, _ in rows} == deliveries
    assert {str(pk) for pk, _, lease in rows if lease is not None} == leased


# What these tests are made of


def in_threads(acts: list[Callable[[Vendor], None]], connect: Connect) -> None:
    """Let each act in a thread of its own; raise what one of them raises."""

    def run(act: Callable[[Vendor], None], vendor: Vendor) -> None:
        try:
            act(vendor)
        finally:
            connection.close()

    vendors = [connect() for _ in acts]
    with ThreadPoolExecutor(len(acts)) as threads:
        for future in [threads.submit(run, act, vendor) for act, vendor in zip(acts, vendors, strict=True)]:
            future.result(timeout=200)


def count_deadlocks() -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_results_are_one_for_each_message_that_ended(vendor: Vendor) -> None:
    ids = send(vendor, 3)
    exchange(vendor, [Settlement(message.token, DONE) for message in reserve(vendor)])
    assert sorted(str(pk) for pk in Result.objects.values_list("pk", flat=True)) == sorted(ids)
