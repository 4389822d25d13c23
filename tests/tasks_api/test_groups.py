"""Several results as one: their states, their values and the wait for them, the group that rows tell of (RES-12)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from djtasks import AsyncResult, EagerResult, GroupResult, ResultSet, allow_join_result, shared_task
from djtasks.domain.identifiers import uuid7
from djtasks.exceptions import ResultNotFound, TimeoutError
from djtasks.models import Message, Result
from tests.helpers_inprocess import run_one, run_until_empty
from tests.tasks_api.flows import message, send_chain, send_group, step
from tests.tasks_api.samples import add, fail, note
from tests.tasks_api.test_waiting import LONG, Start, elsewhere, until

__all__ = ["elsewhere"]

in_database = pytest.mark.django_db(transaction=True)
Queries = Callable[[int], Any]


def some(count: int = 3, **fields: Any) -> GroupResult:
    """Send a group of which each member returns ten times its number."""
    return send_group(*(message(add, 9 * n, n, **fields) for n in range(count)))


def ended(count: int) -> GroupResult:
    """Make a group whose members have ended already."""
    group = uuid7()
    ids = [uuid7() for _ in range(count)]
    Result.objects.bulk_create(
        [Result(id=pk, task=add.name, state="SUCCESS", value=n, group=group) for n, pk in enumerate(ids)]
    )
    return GroupResult(group, [AsyncResult(pk) for pk in ids])


# Members


def test_set_keeps_each_member_once() -> None:
    one, two, three = (AsyncResult(uuid7()) for _ in range(3))
    results = ResultSet([one])
    results.add(two)
    results.add(AsyncResult(two.id))
    results.update([one, three, AsyncResult(three.id)])
    assert list(results) == results.results == [one, two, three] and len(results) == 3 and results[1] == two
    results.remove(two.id)
    results.discard(two)
    with pytest.raises(KeyError):
        results.remove(two)
    assert results == ResultSet([one, three]) != ResultSet([three, one])
    results.clear()
    assert not results.results and not results


def test_group_is_its_id() -> None:
    """RES-13."""
    group = GroupResult(uuid7(), [AsyncResult(uuid7())])
    assert group == GroupResult(group.id) and len({group, GroupResult(group.id)}) == 1
    assert group != GroupResult(None, group.results) and str(group) == group.id
    assert repr(group) == f"<GroupResult: {group.id} of 1>" and group.children == group.results


def test_group_without_members_is_a_result_all_the_same() -> None:
    """CANV-5."""
    group = GroupResult(uuid7())
    assert bool(group) and len(group) == 0
    assert (group.ready(), group.successful(), group.failed(), group.waiting()) == (True, True, False, False)
    assert group.get() == group.join() == list(group.iterate()) == [] and group.completed_count() == 0


@pytest.mark.parametrize("given", ["a group", 7])
def test_id_of_a_group_is_a_uuid(given: Any) -> None:
    with pytest.raises(ValueError, match="a task id is a UUID"):
        GroupResult(given)


# States


@in_database
def test_states_of_a_group_follow_those_of_its_members() -> None:
    """RES-12."""
    group = send_group(message(add, 1, 2), message(fail), message(add, 3, 4))
    seen = []
    while True:
        seen.append((group.ready(), group.waiting(), group.successful(), group.failed(), group.completed_count()))
        if run_one() is None:
            break
    assert seen == [
        (False, True, False, False, 0),
        (False, True, False, False, 1),
        (False, True, False, True, 1),
        (True, False, False, True, 2),
    ]


@in_database
def test_group_of_successes_is_successful() -> None:
    """RES-12."""
    group = some()
    run_until_empty()
    assert group.ready() and group.successful() and not group.failed() and group.completed_count() == 3


@in_database
def test_member_that_nobody_knows_is_waited_for() -> None:
    """RES-1, RES-12: as one of them alone reads PENDING."""
    group = GroupResult(uuid7(), [AsyncResult(uuid7())])
    assert group.waiting() and not group.ready() and not group.failed()


@in_database
def test_group_in_a_group_counts_as_one() -> None:
    """RES-12."""
    inner, other = some(2), some(2)
    outer = ResultSet([inner, add.delay(1, 2), other])
    run_one()
    assert outer.completed_count() == 0
    run_one()
    assert inner.successful() and outer.completed_count() == 1 and not outer.ready()
    run_until_empty()
    assert outer.successful() and outer.completed_count() == 3


@pytest.mark.parametrize("size", [1, 1000])
@in_database
def test_states_of_a_thousand_are_read_in_one_statement(size: int, django_assert_num_queries: Queries) -> None:
    group = ended(size)
    with django_assert_num_queries(5):
        assert group.ready() and group.successful() and not group.failed() and not group.waiting()
        assert group.completed_count() == size


# Values


@in_database
def test_values_come_in_the_order_of_the_group() -> None:
    """RES-12: whoever ends first."""
    group = send_group(message(add, 1, 1), message(add, 2, 2, priority=5), message(add, 3, 3, priority=9))
    run_until_empty()
    assert group.get() == group.join() == group.join_native() == [2, 4, 6]


@in_database
def test_first_failure_in_the_order_of_the_group_is_raised() -> None:
    """RES-12."""
    group = send_group(message(add, 1, 2), message(fail, "one"), message(fail, "two", priority=9))
    run_until_empty()
    with pytest.raises(ValueError, match=r"^one$"):
        group.get()
    values = group.get(propagate=False)
    assert values[0] == 3 and [str(each) for each in values[1:]] == ["one", "two"]


@in_database
def test_failure_is_raised_while_later_members_wait() -> None:
    """RES-12: and nobody is waited for."""
    group = send_group(message(fail, "first", priority=9), message(add, 1, 2))
    run_one()
    with pytest.raises(ValueError, match="first"):
        group.get()
    assert group.results[1].state == "PENDING"
    run_until_empty()
    assert group.results[1].get() == 3


@in_database
def test_callback_gets_each_value_and_nothing_is_collected() -> None:
    """RES-12: neither in the answer nor with the handles."""
    group, seen = some(), []
    run_until_empty()
    assert group.join(callback=lambda *told: seen.append(told)) == []
    assert seen == [(member.id, 10 * n) for n, member in enumerate(group)]
    assert all(member._ended is None for member in group)


@in_database
def test_callback_gets_the_list_of_a_group_in_the_group() -> None:
    """RES-12."""
    inner, seen = some(2), []
    run_until_empty()
    ResultSet([inner]).get(callback=lambda *told: seen.append(told))
    assert seen == [(inner.id, [0, 10])]


@in_database
def test_groups_in_groups_give_lists_of_lists() -> None:
    """RES-12."""
    outer = ResultSet([some(2), add.delay(1, 2), GroupResult(uuid7(), [GroupResult(uuid7()), some(1)])])
    run_until_empty()
    assert outer.get() == [[0, 10], 3, [[], [0]]]


def test_member_that_appears_twice_has_its_value_twice(elsewhere: Start) -> None:
    one, two = add.delay(1, 2), add.delay(3, 4)
    waiting = elsewhere(ResultSet([one, two, AsyncResult(one.id)]).get, timeout=LONG)
    run_until_empty()
    assert waiting.result(LONG) == [3, 7, 3]


@in_database
def test_what_was_run_here_and_now_needs_no_rows(eager: None, django_assert_num_queries: Queries) -> None:
    """MON-3."""
    members = [add.delay(1, 2), add.delay(3, 4)]
    assert all(isinstance(each, EagerResult) for each in members)
    group = GroupResult(uuid7(), members)
    with django_assert_num_queries(0):
        assert group.get() == list(group.iterate()) == [3, 7]
        assert group.ready() and group.successful() and group.completed_count() == 2
        assert group.revoke() == {} and group.retry_failed() == 0
        group.forget()
        assert group.get() == [3, 7]


@in_database
def test_error_of_what_was_run_here_and_now_is_raised(eager: None) -> None:
    """MON-3."""
    with pytest.raises(ValueError, match="no"):
        ResultSet([fail.apply()]).get()


@in_database
def test_values_of_a_thousand_are_read_in_one_statement(django_assert_num_queries: Queries) -> None:
    group = ended(1000)
    with django_assert_num_queries(2):
        assert group.get() == list(range(1000))
    with django_assert_num_queries(0):
        assert group.get() == [member.result for member in group]


@in_database
def test_ten_thousand_are_read_in_few_statements(django_assert_max_num_queries: Queries) -> None:
    group = ended(10_000)
    with django_assert_max_num_queries(30):
        assert group.completed_count() == 10_000
        assert group.get(callback=lambda *told: None) == []
    with django_assert_max_num_queries(30):
        assert sum(1 for _ in group.iterate()) == 10_000


# Members without a result


@in_database
def test_ignored_members_are_none_at_once() -> None:
    """RES-7."""
    ignored = AsyncResult(add.apply_async((1, 2), ignore_result=True).id, ignored=True)
    kept = add.delay(3, 4)
    run_one()
    run_one()
    assert ResultSet([ignored, kept]).get() == [None, 7]


@in_database
def test_member_that_nobody_knows_is_an_error_in_its_turn() -> None:
    """RES-8."""
    known, unknown = add.delay(1, 2), AsyncResult(uuid7())
    run_until_empty()
    seen = []
    with pytest.raises(ResultNotFound, match=unknown.id):
        ResultSet([known, unknown]).get(callback=lambda *told: seen.append(told))
    assert seen == [(known.id, 3)]


@pytest.mark.postgres
def test_member_whose_result_is_not_kept_is_none_once_it_has_ended(elsewhere: Start) -> None:
    """RES-7: its handle does not say so."""
    members = [AsyncResult(add.apply_async((1, 2), ignore_result=True).id), add.delay(3, 4)]
    waiting = elsewhere(ResultSet(members).get, timeout=LONG)
    until(lambda: Message.objects.filter(awaited=True).exists())
    run_until_empty()
    assert waiting.result(LONG) == [None, 7]


# Waiting


def test_group_is_waited_for(elsewhere: Start) -> None:
    """RES-12."""
    waiting = elsewhere(some(30).get, timeout=LONG, interval=LONG)
    begun = time.monotonic()
    if connection.vendor == "postgresql":
        until(lambda: Message.objects.filter(awaited=True).exists())
    run_until_empty()
    assert waiting.result(LONG) == [10 * n for n in range(30)] and time.monotonic() - begun < LONG / 4


@in_database
def test_time_limit_is_for_the_whole_group() -> None:
    """RES-12: not for each member anew."""
    group = some(20)
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=f"{group[0].id} has not ended within 0.1 seconds"):
        group.get(timeout=0.1, interval=0.01)
    assert time.monotonic() - begun < 5
    run_until_empty()
    assert group.get(timeout=0) == [10 * n for n in range(20)]


def test_failure_is_raised_before_the_others_have_ended(elsewhere: Start) -> None:
    """RES-12."""
    group = send_group(message(fail, "first", priority=9), message(add, 1, 2, delay=600.0))
    waiting = elsewhere(group.get, timeout=LONG)
    run_one()
    with pytest.raises(ValueError, match="first"):
        waiting.result(LONG)
    assert group.waiting()


@pytest.mark.postgres
def test_wait_that_fails_leaves_no_connection(elsewhere: Start) -> None:
    """Not even while the error is at hand."""
    group = send_group(message(fail), message(add, 1, 2, delay=600.0))
    waiting = elsewhere(group.get, timeout=LONG)
    until(lambda: Message.objects.filter(awaited=True).exists())
    before = sessions()
    run_one()
    assert isinstance(waiting.exception(LONG), ValueError)
    until(lambda: sessions() < before)


def sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@in_database
def test_group_is_refused_inside_a_task() -> None:
    """RES-5."""

    @shared_task
    def body(how: str, ids: list[str]) -> Any:
        results = ResultSet([AsyncResult(each) for each in ids])
        return list(getattr(results, how)())

    members = [add.delay(1, 2).id]
    run_until_empty()
    for how in ("get", "join", "iterate"):
        refused = body.delay(how, members)
        run_until_empty()
        with pytest.raises(RuntimeError, match="never wait for a result inside a task"):
            refused.get()


@in_database
def test_group_inside_a_task_can_be_allowed() -> None:
    """RES-5."""

    @shared_task
    def body(ids: list[str]) -> Any:
        results = ResultSet([AsyncResult(each) for each in ids])
        with allow_join_result():
            first = results.get()
        return [first, results.get(disable_sync_subtasks=False)]

    members = [add.delay(1, 2).id]
    run_until_empty()
    result = body.delay(members)
    run_until_empty()
    assert result.get() == [[3], [3]]


@pytest.mark.django_db
def test_group_that_nobody_else_can_see_is_not_waited_for() -> None:
    group = some()
    with pytest.raises(RuntimeError, match="was sent in the transaction that is still open here"):
        group.get()


# As they come


def test_values_come_as_members_end(elsewhere: Start) -> None:
    """RES-12."""
    group = send_group(message(add, 1, 1), message(add, 2, 2, priority=5), message(add, 3, 3, priority=9))
    seen: list[Any] = []

    def collect() -> list[Any]:
        for value in group.iterate(timeout=LONG, interval=0.02):
            seen.append(value)
        return seen

    waiting = elsewhere(collect)
    for value in (6, 4, 2):
        # Whoever begins to wait locks the messages for a moment, and what is locked is passed by.
        until(lambda: run_one() is not None)
        until(lambda value=value: seen[-1:] == [value])  # type: ignore[misc]
    assert waiting.result(LONG) == [6, 4, 2]


def test_first_error_that_comes_is_raised(elsewhere: Start) -> None:
    """RES-12."""
    group = send_group(message(add, 1, 1, delay=600.0), message(fail, "early"))
    waiting = elsewhere(lambda: list(group.iterate(timeout=LONG)))
    run_one()
    with pytest.raises(ValueError, match="early"):
        waiting.result(LONG)


def test_group_in_the_group_comes_when_all_of_it_has_ended(elsewhere: Start) -> None:
    """RES-12."""
    outer = ResultSet([some(2), GroupResult(uuid7()), add.delay(1, 2)])
    waiting = elsewhere(lambda: list(outer.iterate(timeout=LONG)))
    run_until_empty()
    assert sorted(waiting.result(LONG), key=str) == [3, [0, 10], []]


@in_database
def test_iteration_has_a_time_limit() -> None:
    """RES-12."""
    group = some(2)
    with pytest.raises(TimeoutError, match=f"{group[0].id} and 1 others have not ended within 0.05 seconds"):
        list(group.iterate(timeout=0.05, interval=0.01))


@in_database
def test_members_come_with_what_is_known_of_them() -> None:
    """RES-12: in Celery's form."""
    inner = some(1)
    outer = ResultSet([add.delay(1, 2), fail.delay("no"), inner])
    run_until_empty()
    told = dict(outer.iter_native())
    assert told[outer[0].id] == {"task_id": outer[0].id, "status": "SUCCESS", "result": 3, "traceback": None}
    assert told[outer[1].id]["status"] == "FAILURE" and str(told[outer[1].id]["result"]) == "no"
    assert told[inner.id] == inner.results


# Coroutines


def test_coroutine_waits_for_a_group(elsewhere: Start) -> None:
    """J4, RES-12."""
    outer = ResultSet([some(3), add.delay(1, 2)])
    elsewhere(run_until_empty)
    assert async_to_sync(outer.aget)(timeout=LONG) == [[0, 10, 20], 3]


@in_database
def test_coroutine_gets_errors_of_a_group_as_others_do() -> None:
    """J4, RES-12."""
    group = send_group(message(fail, "early"), message(add, 1, 2, delay=600.0))
    run_one()
    with pytest.raises(ValueError, match="early"):
        async_to_sync(group.ajoin)(timeout=LONG)
    with pytest.raises(TimeoutError):
        async_to_sync(group.aget)(timeout=0.05, propagate=False)


# What becomes of it


@in_database
def test_group_is_restored_from_rows_alone() -> None:
    """RES-13: whether its members live or have ended."""
    group = some(4)
    assert group.save() is group
    for _ in range(2):
        run_one()
    restored = GroupResult.restore(group.id)
    assert restored is not None and restored == group and restored.results == group.results
    run_until_empty()
    group.delete()
    restored = GroupResult.restore(group.id)
    assert restored is not None and restored.results == group.results and restored.get() == [0, 10, 20, 30]


@in_database
def test_group_of_which_nothing_is_known_is_none() -> None:
    """RES-13."""
    assert GroupResult.restore(uuid7()) is None


@in_database
def test_group_is_forgotten_with_its_members(django_assert_max_num_queries: Queries) -> None:
    """RES-10."""
    group, other = some(50), add.delay(1, 2)
    group.parent = parent = add.delay(3, 4)
    run_until_empty()
    with django_assert_max_num_queries(10):
        group.forget()
    assert not parent.exists() and not any(member.exists() for member in group) and other.get() == 3


@in_database
def test_members_are_revoked() -> None:
    """RES-13, WORK-9."""
    group = some()
    run_one()
    answers = group.revoke()
    assert answers == dict(zip([member.id for member in group], ["too_late", "revoked", "revoked"], strict=True))
    assert [member.state for member in group] == ["SUCCESS", "REVOKED", "REVOKED"]


@in_database
def test_unknown_signal_is_refused_before_anything_is_revoked() -> None:
    """WORK-9."""
    group = some()
    with pytest.raises(ValueError, match="is no signal"):
        group.revoke(terminate=True, signal="SIGNOTHING")
    assert group.waiting()


@in_database
def test_error_of_a_member_can_be_asked_for_without_a_wait() -> None:
    """RES-12."""
    group, seen = send_group(message(add, 1, 2), message(fail, "no"), message(note, "x", delay=600.0)), []
    group.maybe_throw()
    run_one()
    run_one()
    with pytest.raises(ValueError, match="no"):
        group.maybe_throw(callback=lambda *told: seen.append(told))
    assert seen == [(group[0].id, 3)]
    group.maybe_reraise(propagate=False)


def test_chain_as_a_member_is_its_last_step(elsewhere: Start) -> None:
    """CANV-7."""
    last = send_chain(message(add, 1, 2), step(add, 10))
    waiting = elsewhere(GroupResult(uuid7(), [last]).get, timeout=LONG)
    run_until_empty()
    assert waiting.result(LONG) == [13]
