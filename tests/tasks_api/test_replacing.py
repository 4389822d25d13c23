"""Bodies that put others in their place, and chords that grow: CANV-12, CANV-13."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import Task, chain, chord, group, shared_task
from djtasks.exceptions import ChordError, ImproperlyConfigured
from djtasks.models import Message
from tests.helpers_inprocess import run_until_empty

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def add() -> Task:
    @shared_task
    def add(x: int, y: int) -> int:
        return x + y

    return add


@pytest.fixture
def fail() -> Task:
    @shared_task
    def fail(*args: Any) -> None:
        raise ValueError("broken")

    return fail


@pytest.fixture
def keep() -> Task:
    @shared_task
    def keep(value: Any) -> Any:
        return value

    return keep


def replaced_by(signature: Any) -> Task:
    @shared_task(bind=True)
    def replaced(self: Task, *args: Any) -> Any:
        return self.replace(signature)

    return replaced


def test_next_step_waits_for_what_replaces_the_one_before(add: Task) -> None:
    """CANV-12: it takes the id, and so all who wait for it."""
    host = replaced_by(add.s(1, 2) | add.s(10))
    last = (host.s() | add.s(100)).delay()
    run_until_empty()
    assert last.get() == 113 and last.parent.get() == 13 and last.parent.name == add.name


def test_group_in_the_place_of_a_member_hands_on_a_list(add: Task, keep: Task) -> None:
    """CANV-12: in the place that the member had."""
    host = replaced_by(group(add.s(number, 1) for number in range(3)))
    body = chord([add.s(0, 0), host.s(), add.s(9, 9)])(keep.s())
    run_until_empty()
    assert body.get() == [0, [1, 2, 3], 18]


@pytest.mark.parametrize("place", [0, 1])
def test_errbacks_of_the_replaced_are_called_once(add: Task, fail: Task, place: int) -> None:
    """CANV-12, CANV-3: whichever of those that replace it fails."""
    called: list[str] = []

    @shared_task
    def errback(failed: str) -> None:
        called.append(failed)

    steps = [add.s(1, 2), add.s(3)]
    steps[place] = fail.s()
    host = replaced_by(chain(steps))
    last = chain(host.s().on_error(errback.s()), add.s(1)).delay()
    run_until_empty()
    assert last.state == last.parent.state == "FAILURE" and len(called) == 1


def test_what_cannot_replace_is_refused(add: Task) -> None:
    """CANV-12: an empty chain, and the member of another group; so is a body that nobody waits for."""
    member = add.s(1, 2)
    group(member, add.s(3, 4)).freeze()
    for signature in (chain(), add.s(1, 2).set(group_id="6ff0c1ba-1d06-4c1b-9a59-5b2b5a0a7a0e")):
        handle = replaced_by(signature).delay()
        run_until_empty()
        with pytest.raises(ImproperlyConfigured):
            handle.get()
    with pytest.raises(ImproperlyConfigured):
        replaced_by(add.s(1, 2))()


def test_eager_task_returns_the_value_of_what_replaces_it(add: Task) -> None:
    """CANV-12, MON-3."""
    assert replaced_by(add.s(1, 2) | add.s(3)).apply().get() == 6


@pytest.fixture
def grow() -> Task:
    @shared_task(bind=True)
    def grow(self: Task, value: Any, signature: dict[str, Any]) -> Any:
        self.add_to_chord(signature)
        return value

    return grow


def test_body_waits_for_the_members_that_are_added(add: Task, keep: Task, grow: Task) -> None:
    """CANV-13: also for the last of a chain, and for the list of a group."""
    more = [grow.s("a", add.s(1, 1) | add.s(5)), grow.s("b", group(add.s(2, 2), add.s(3, 3))), add.s(9, 9)]
    body = chord(more)(keep.s())
    run_until_empty()
    assert body.get()[:3] == ["a", "b", 18] and sorted(map(str, body.get()[3:])) == ["7", "[4, 6]"]


def test_immutable_body_waits_for_the_members_that_are_added(add: Task, grow: Task) -> None:
    """CANV-13, CANV-1."""
    body = chord([grow.s("a", add.s(1, 1)), add.s(2, 2)])(add.si(5, 5))
    run_until_empty()
    assert body.get() == 10 and not Message.objects.exists()


def test_chord_that_has_failed_grows_and_is_taken_up_again_whole(add: Task, keep: Task, grow: Task) -> None:
    """CANV-13: with the members that were added after the failure."""
    failing = [True]

    @shared_task
    def sometimes() -> str:
        if failing.pop() if failing else False:
            raise ValueError("for once")
        return "well"

    body = chord([sometimes.s(), grow.s("outer", grow.s("inner", add.s(1, 1)))])(keep.s())
    run_until_empty()
    with pytest.raises(ChordError):
        body.get()
    assert body.retry_failed() == 2
    run_until_empty()
    assert body.get() == ["well", "outer", "inner", 2]


def test_who_is_in_no_chord_can_add_to_none(add: Task, grow: Task) -> None:
    """CANV-13: neither by itself nor as a step of a chain."""
    for handle in (grow.delay("a", add.s(1, 1)), (grow.s("a", add.s(1, 1)) | add.s("b")).delay()):
        run_until_empty()
        with pytest.raises(ValueError, match="is in no chord"):
            handle.get()
