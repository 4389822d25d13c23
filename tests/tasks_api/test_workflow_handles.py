"""A workflow by its last handle: revoked as a whole, and taken up again where it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from djtasks import AsyncResult, GroupResult, shared_task
from djtasks.exceptions import TaskRevokedError
from djtasks.models import Dependency, Message
from djtasks.testing.inline import InlineWorker
from tests.helpers_inprocess import run_one, run_until_empty
from tests.tasks_api.flows import message, send_chain, send_chord, send_group, step
from tests.tasks_api.samples import add, note, ran
from tests.tasks_api.test_graphs import total

in_database = pytest.mark.django_db(transaction=True)
broken: set[int] = set()


@shared_task
def tenfold(number: int) -> int:
    ran.append(number)
    if number in broken:
        raise ValueError(number)
    return 10 * number


@pytest.fixture(autouse=True)
def nothing_is_broken() -> Iterator[None]:
    broken.clear()
    yield
    broken.clear()


def states(*handles: AsyncResult) -> list[str]:
    return [AsyncResult(each.id).state for each in handles]


def chain_of_three() -> tuple[AsyncResult, ...]:
    last = send_chain(message(tenfold, 1), step(tenfold), step(tenfold))
    return last.parent.parent, last.parent, last


# Revoked


@in_database
def test_chain_is_revoked_by_its_last_step() -> None:
    """WORK-9: with all that has not ended."""
    first, second, last = chain_of_three()
    run_one()
    assert last.revoke() == "revoked"
    assert states(first, second, last) == ["SUCCESS", "REVOKED", "REVOKED"]
    assert run_until_empty() == [] and ran == [1] and not Message.objects.exists()
    with pytest.raises(TaskRevokedError):
        last.get()


@in_database
def test_chain_is_revoked_by_an_id_alone() -> None:
    """WORK-9: rows tell what precedes it."""
    first, second, last = chain_of_three()
    assert AsyncResult(last.id).revoke() == "revoked"
    assert states(first, second, last) == ["REVOKED"] * 3


@in_database
def test_step_that_runs_is_asked_to_stop() -> None:
    """WORK-9."""
    first, second, last = chain_of_three()
    worker = InlineWorker()
    [held] = worker.reserve()
    assert last.revoke(terminate=True) == "revoked"
    row = Message.objects.get()
    assert str(row.pk) == first.id and row.revoked_at is not None and row.terminate == "SIGTERM"
    worker.deliver(held)
    assert states(first, second, last) == ["SUCCESS", "REVOKED", "REVOKED"]


@in_database
def test_what_comes_behind_a_revoked_step_is_revoked() -> None:
    """CANV-4, WORK-9."""
    first, second, last = chain_of_three()
    assert second.revoke() == "revoked"
    assert states(first, second, last) == ["REVOKED"] * 3


@in_database
def test_chord_is_revoked_by_its_body() -> None:
    """WORK-9: which ends as revoked, and not for the sake of a member."""
    body = send_chord([message(tenfold, n) for n in range(3)], total)
    run_one()
    assert body.revoke() == "revoked"
    assert states(*body.parent, body) == ["SUCCESS", "REVOKED", "REVOKED", "REVOKED"]
    assert not Message.objects.exists()


@in_database
def test_group_is_revoked_with_what_precedes_it() -> None:
    """RES-13, WORK-9."""
    group = GroupResult(None, [send_chain(message(tenfold, n), step(tenfold)) for n in (1, 2)])
    assert list(group.revoke().values()) == ["revoked", "revoked"]
    assert states(*group, *(member.parent for member in group)) == ["REVOKED"] * 4


# Taken up again


@in_database
def test_chain_goes_on_where_it_failed() -> None:
    """B10."""
    broken.add(10)
    first, second, last = chain_of_three()
    run_until_empty()
    assert states(first, second, last) == ["SUCCESS", "FAILURE", "FAILURE"]
    with pytest.raises(ValueError, match="10"):
        last.get()
    broken.clear()
    assert last.retry_failed() == 2
    assert (last.state, last.parent.state, last.parent.parent.state) == ("PENDING", "PENDING", "SUCCESS")
    run_until_empty()
    assert last.get() == 1000 and ran == [1, 10, 10, 100]
    assert last.retry_failed() == 0 and not Dependency.objects.exists()


@in_database
def test_chord_goes_on_with_the_members_that_failed() -> None:
    """B10, CANV-8."""
    broken.update((1, 3))
    body = send_chord([message(tenfold, n) for n in range(4)], total)
    run_until_empty()
    assert states(*body.parent, body) == ["SUCCESS", "FAILURE", "SUCCESS", "FAILURE", "FAILURE"]
    broken.clear()
    assert body.retry_failed() == 3
    run_until_empty()
    assert body.get() == 60 and ran == [0, 1, 2, 3, 1, 3] and body.parent.get() == [0, 10, 20, 30]


@pytest.mark.parametrize("by", [lambda body: body.parent, lambda body: AsyncResult(body.parent[1].id)])
@in_database
def test_chord_goes_on_by_its_header_or_a_member(by: Callable[[AsyncResult], Any]) -> None:
    """B10."""
    broken.add(1)
    body = send_chord([message(tenfold, n) for n in range(3)], total)
    run_until_empty()
    broken.clear()
    assert by(body).retry_failed() == 2
    run_until_empty()
    assert AsyncResult(body.id).get() == 30


@in_database
def test_body_that_failed_gets_the_same_list_again() -> None:
    """B10: no member runs again."""

    @shared_task
    def once(numbers: list[int]) -> int:
        if not ran:
            ran.append(numbers)
            raise ValueError("first")
        return sum(numbers)

    body = send_chord([message(add, n, n) for n in range(3)], once)
    run_until_empty()
    assert body.state == "FAILURE" and body.retry_failed() == 1
    run_until_empty()
    assert body.get() == 6 and ran == [[0, 2, 4]]


@in_database
def test_group_runs_what_failed_of_it_again() -> None:
    """B10."""
    broken.update((0, 2))
    group = send_group(*(message(tenfold, n) for n in range(3)))
    run_until_empty()
    assert group.failed() and group.completed_count() == 1
    broken.clear()
    assert group.retry_failed() == 2 and not group.failed()
    run_until_empty()
    assert group.get() == [0, 10, 20] and ran == [0, 1, 2, 0, 2]


@in_database
def test_what_was_revoked_is_taken_up_again() -> None:
    """WORK-9, B10."""
    _, _, last = chain_of_three()
    run_one()
    last.revoke()
    assert last.retry_failed() == 2
    run_until_empty()
    assert last.get() == 1000 and ran == [1, 10, 100]


@in_database
def test_failure_of_what_was_taken_up_again_is_heard() -> None:
    """CANV-4: nobody waits for ever."""
    broken.add(1)
    _, _, last = chain_of_three()
    for _ in range(3):
        run_until_empty()
        assert last.state == "FAILURE" and last.retry_failed() == 3
    assert AsyncResult(last.id).errors == []
    run_until_empty()
    assert [error["message"] for error in last.parent.parent.errors] == ["1"] * 4


@in_database
def test_what_is_well_is_left_alone() -> None:
    """B10."""
    waiting, ended = note.apply_async(("x",), countdown=600), add.delay(1, 2)
    run_one()
    assert waiting.retry_failed() == ended.retry_failed() == 0 and ended.get() == 3


@in_database
def test_thousand_members_are_taken_up_again_in_few_statements(django_assert_max_num_queries: Any) -> None:
    """B10."""
    body = send_chord([message(tenfold, n) for n in range(1000)], total)
    assert body.parent[0].revoke() == "revoked"
    for member in body.parent[1:20]:
        member.revoke()
    with django_assert_max_num_queries(50):
        assert body.retry_failed() == 21
    assert Message.objects.count() == 1001
