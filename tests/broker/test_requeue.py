"""An ended task runs again under its own id: B10, B11, E9."""

from __future__ import annotations

import threading
from random import Random
from uuid import UUID

from django.db import connections

from djtasks.broker.enqueue import enqueue_workflow
from djtasks.broker.requeue import requeue, requeue_workflow
from djtasks.broker.revoke import revoke
from djtasks.broker.vendors import Vendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.outcomes import Failure, Retry, Success
from djtasks.domain.workflows import END, FEEDS, LIST, NOTHING, Edge
from djtasks.models import Dependency, Message, Result
from tests.broker.conftest import Connect
from tests.broker.sentences import (
    DONE,
    error,
    facts,
    held,
    let_leases_lapse,
    lives,
    reserve,
    reserve_one,
    result,
    send,
    settled,
)
from tests.broker.test_workflows import FAILED, by_id, chain, chord, end, end_next, kept, member, waiting
from tests.helpers import wait_until


def failed(vendor: Vendor) -> str:
    message = held(vendor, args='["x"]', kwargs='{"y": 2}', queue="mail", priority=7, options='{"shadow": "s"}')
    assert settled(vendor, message.token, Retry(error("first")))
    assert settled(vendor, reserve_one(vendor).token, Failure(error("second")))
    return message.id


def test_ended_message_runs_again_with_its_history_and_a_higher_fence(vendor: Vendor) -> None:
    """B10: whoever held an earlier delivery can still write nothing."""
    message_id = failed(vendor)
    before = result(message_id)
    assert requeue(UUID(message_id)) == "requeued"
    assert result(message_id) is None
    again = reserve_one(vendor)
    assert again.id == message_id and again.deliveries == before.deliveries + 1 == 3
    assert (again.args, again.queue, again.priority, again.retries) == ('["x"]', "mail", 7, 0)
    assert (again.kwargs.replace(" ", ""), again.options.replace(" ", "")) == ('{"y":2}', '{"shadow":"s"}')
    assert [line["message"] for line in facts(message_id)["errors"]] == ["first", "second"]
    assert not settled(vendor, again.token._replace(deliveries=2))
    assert settled(vendor, again.token, DONE)


def test_what_lives_is_left_alone(vendor: Vendor) -> None:
    """B10: also what runs, and what nobody holds any more."""
    (waiting,) = send(vendor, delay=60)
    running, lapsed = held(vendor).id, held(vendor).id
    let_leases_lapse(lapsed)
    for message_id in (waiting, running, lapsed):
        before = facts(message_id)
        assert requeue(UUID(message_id)) == "alive"
        assert facts(message_id) == before


def test_what_nobody_knows_is_said_to_be_unknown(vendor: Vendor) -> None:
    assert requeue(uuid7()) == "unknown"


def test_two_who_ask_at_once_run_it_once(vendor: Vendor) -> None:
    """B11: the second changes nothing."""
    message_id = failed(vendor)
    answers = []

    def ask() -> None:
        answers.append(requeue(UUID(message_id)))
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["alive"] * 3 + ["requeued"]
    assert lives(message_id)


# Workflows


def fail_next(vendor: Vendor) -> str:
    """Reserve the one message that is due, and let it fail; return its id."""
    return end_next(vendor, FAILED).id


def states() -> dict[str, str]:
    return {str(pk): state for pk, state in Result.objects.values_list("pk", "state")}


def test_chain_is_taken_up_again_where_it_failed(vendor: Vendor) -> None:
    """B10: the step that failed, with the value it had, and those behind it; not those before it."""
    first, second, third, fourth = chain(length=4)
    end_next(vendor, Success('"one"'))
    assert fail_next(vendor) == second
    assert [str(each) for each in requeue_workflow([UUID(fourth)])] == [second, third, fourth]
    assert states() == {first: "SUCCESS"}
    again = reserve_one(vendor)
    assert (again.id, again.args.replace(" ", ""), again.handed, again.deliveries) == (second, '["one",1,2]', None, 2)
    assert [line["message"] for line in facts(second)["errors"]] == ["broken"]
    assert not settled(vendor, again.token._replace(deliveries=1))
    assert end(vendor, again, Success('"two"'))
    step = end_next(vendor, Success('"three"'))
    assert (step.id, step.handed) == (third, '["two"]') and facts(fourth)["errors"] == []
    assert end_next(vendor, DONE).handed == '["three"]'
    assert set(states().values()) == {"SUCCESS"} and not Dependency.objects.exists()


def test_chord_runs_only_the_members_that_failed_again(vendor: Vendor) -> None:
    """B10, CANV-8: its body gets the values of the others from the first time, each in its place."""
    header, body = chord(4)
    messages = by_id(vendor)
    for place, outcome in enumerate((Success("0"), FAILED, Success("2"), FAILED)):
        assert end(vendor, messages[header[place]], outcome)
    assert [str(each) for each in requeue_workflow([UUID(body)])] == [header[1], header[3], body]
    again = by_id(vendor)
    assert set(again) == {header[1], header[3]}
    assert end(vendor, again[header[3]], Success("3")) and not reserve(vendor)
    assert end(vendor, again[header[1]], Success("1"))
    assert reserve_one(vendor).handed == "[[0,1,2,3]]"


def test_body_waits_for_members_that_were_still_running_too(vendor: Vendor) -> None:
    """B10: whether they end before it is taken up again, or after that."""
    header, body = chord(3)
    messages = by_id(vendor)
    assert end(vendor, messages[header[0]], FAILED)
    assert end(vendor, messages[header[1]], Success("1"))
    assert [str(each) for each in requeue_workflow([UUID(body)])] == [header[0], body]
    assert end(vendor, reserve_one(vendor), Success("0")) and not reserve(vendor)
    assert end(vendor, messages[header[2]], Success("2"))
    assert reserve_one(vendor).handed == "[[0,1,2]]"


def test_failure_after_it_was_taken_up_again_ends_it_again(vendor: Vendor) -> None:
    """CANV-8: as often as one likes."""
    _, body = chord(2)
    for _ in range(3):
        messages = by_id(vendor)
        for message in messages.values():
            assert end(vendor, message, FAILED)
        assert states()[body] == "FAILURE"
        assert len(requeue_workflow([UUID(body)])) == 3
    for message in by_id(vendor).values():
        assert end(vendor, message, DONE)
    assert reserve_one(vendor).id == body


def test_from_a_member_it_goes_down_to_all_that_was_ended_with_it(vendor: Vendor) -> None:
    """B10: a diamond, of which one side has failed, and what comes after it."""
    top, left, right = member(), waiting(feeds=FEEDS), waiting(feeds=FEEDS)
    bottom, after = waiting(inputs=LIST, feeds=FEEDS), waiting()
    sides = [Edge(left.id, top.id, 0), Edge(right.id, top.id, 0)]
    ends = [Edge(bottom.id, left.id, 0), Edge(bottom.id, right.id, 1), Edge(after.id, bottom.id, 0)]
    enqueue_workflow([top, left, right, bottom, after], [*sides, *ends])
    end_next(vendor, Success("1"))
    messages = by_id(vendor)
    assert end(vendor, messages[left.id], FAILED) and end(vendor, messages[right.id], Success('"right"'))
    assert [str(each) for each in requeue_workflow([UUID(left.id)])] == [left.id, bottom.id, after.id]
    end_next(vendor, Success('"left"'))
    assert end_next(vendor, DONE).handed == '[["left","right"]]'
    assert end_next(vendor, DONE).id == after.id


def test_what_waits_for_two_that_failed_runs_when_both_have_succeeded(vendor: Vendor) -> None:
    """B10: from one of them alone, too."""
    header, body = chord(2)
    for message in by_id(vendor).values():
        assert end(vendor, message, FAILED)
    assert len(requeue_workflow([UUID(header[0])])) == 3
    assert set(by_id(vendor)) == set(header) and lives(body)


def test_order_is_kept_for_what_has_never_run(vendor: Vendor) -> None:
    """B10: an edge for order alone opens again, too."""
    first, other = member(priority=9), member()
    second, last = member(blocked=True, inputs=NOTHING), waiting(inputs=LIST)
    edges = [Edge(second.id, first.id, on=END), Edge(second.id, other.id)]
    enqueue_workflow([first, other, second, last], [*edges, Edge(last.id, first.id, 0), Edge(last.id, second.id, 1)])
    for message in reserve(vendor):
        assert end(vendor, message, FAILED)
    assert len(requeue_workflow([UUID(last.id)])) == 4
    again = by_id(vendor)
    assert set(again) == {first.id, other.id}
    assert end(vendor, again[other.id], DONE) and not reserve(vendor)
    assert end(vendor, again[first.id], DONE)
    assert [end_next(vendor, DONE).id for _ in range(2)] == [second.id, last.id]


def test_revoked_workflow_is_taken_up_again(vendor: Vendor) -> None:
    """WORK-9, B10."""
    ids = chain()
    for each in (ids[2], ids[0]):
        assert revoke(UUID(each)) == "revoked"
    assert states() == dict.fromkeys(ids, "REVOKED")
    assert len(requeue_workflow([UUID(ids[2])])) == 3
    assert [end_next(vendor, DONE).id for _ in ids] == ids


def test_body_that_alone_was_revoked_runs_when_its_header_has_ended(vendor: Vendor) -> None:
    """WORK-9, B10: before and after it is taken up again."""
    header, body = chord(2)
    messages = by_id(vendor)
    assert revoke(UUID(body)) == "revoked"
    assert end(vendor, messages[header[0]], Success("0"))
    assert [str(each) for each in requeue_workflow([UUID(body)])] == [body]
    assert not reserve(vendor) and end(vendor, messages[header[1]], Success("1"))
    assert reserve_one(vendor).handed == "[[0,1]]"


def test_what_has_not_failed_is_left_alone(vendor: Vendor) -> None:
    ids = chain()
    assert requeue_workflow([UUID(each) for each in ids]) == [] == requeue_workflow([uuid7()]) == requeue_workflow([])
    for _ in ids:
        end_next(vendor, DONE)
    assert requeue_workflow([UUID(each) for each in ids]) == [] and set(states().values()) == {"SUCCESS"}


def test_nothing_waits_for_something_of_which_nothing_is_kept(vendor: Vendor) -> None:
    """B10: else it would wait for ever."""
    header, body = chord(2)
    messages = by_id(vendor)
    assert end(vendor, messages[header[0]], Failure(error("broken"), keep=False))
    assert requeue_workflow([UUID(body)]) == [] and requeue(UUID(body)) == "unknown"
    assert states() == {body: "FAILURE"}


def test_single_member_that_runs_again_hands_its_value_over(vendor: Vendor) -> None:
    """B10: so that afterwards the rest can be taken up, too."""
    header, body = chord(2)
    for message in by_id(vendor).values():
        assert end(vendor, message, Success("0") if message.id == header[0] else FAILED)
    assert requeue(UUID(header[1])) == "requeued"
    assert requeue_workflow([UUID(body)]) == []
    end_next(vendor, Success("1"))
    assert requeue(UUID(body)) == "requeued"
    assert reserve_one(vendor).handed == "[[0,1]]"


def test_what_has_never_run_is_run_again_with_what_it_waited_for(vendor: Vendor) -> None:
    """B10."""
    ids = chain()
    assert fail_next(vendor) == ids[0]
    assert requeue(UUID(ids[2])) == "requeued"
    assert requeue(UUID(ids[2])) == "alive"
    assert [end_next(vendor, DONE).id for _ in ids] == ids


def test_two_who_take_a_workflow_up_again_at_once_run_it_once(vendor: Vendor) -> None:
    """B11."""
    _, body = chord(20)
    for message in by_id(vendor).values():
        assert end(vendor, message, FAILED)
    answers: list[int] = []

    def ask() -> None:
        answers.append(len(requeue_workflow([UUID(body)])))
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0, 0, 0, 21] and Message.objects.count() == 21 and not Result.objects.exists()


def test_member_that_ends_at_that_moment_is_not_lost(connect: Connect) -> None:
    """B11: either its end is seen, or whoever writes it sees that the body lives again."""
    for _ in range(5):
        header, body = chord(3)
        vendor, other = connect(), connect()
        messages = by_id(vendor)
        assert end(vendor, messages[header[0]], FAILED)
        ends = [threading.Thread(target=end, args=(other, messages[header[1]], Success("1")))]
        ends.append(threading.Thread(target=take_up, args=(body,)))
        for thread in ends:
            thread.start()
        for thread in ends:
            thread.join()
        assert end(vendor, reserve_one(vendor), Success("0")) and end(vendor, messages[header[2]], Success("2"))
        last = reserve_one(vendor)
        assert last.handed == "[[0,1,2]]" and end(vendor, last, DONE)


def take_up(body: str) -> None:
    requeue_workflow([UUID(body)])
    connections.close_all()


def test_workflow_that_is_taken_up_again_while_it_fails_comes_to_its_end_once(connect: Connect) -> None:
    """B10, B11: by two who do so all the time, under three who run it."""
    _, body = chord(40)
    over = threading.Event()
    ended: list[str] = []

    def work(vendor: Vendor, luck: Random) -> None:
        while not over.is_set():
            for message in reserve(vendor, limit=luck.choice((1, 5))):
                outcome = Success("1") if luck.random() < 0.9 or message.id == body else FAILED
                if end(vendor, message, outcome) and outcome is not FAILED:
                    ended.append(message.id)

    def retry() -> None:
        while not over.is_set():
            take_up(body)

    threads = [threading.Thread(target=work, args=(connect(), Random(seed))) for seed in range(3)]
    threads += [threading.Thread(target=retry) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: states().get(body) == "SUCCESS", timeout=60)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert len(ended) == len(set(ended)) == 41 and kept(body).args == [[1] * 40, 1, 2]
    assert not Message.objects.exists() and not Dependency.objects.exists()
