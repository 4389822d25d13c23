"""Signatures of many tasks: how they are composed, shown, copied and written as JSON (CANV-4 to CANV-6, CANV-11)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

import pytest

from djtasks import GroupResult, Signature, chain, chord, chunks, group, signature, xmap, xstarmap
from tests.shapes import SHAPES, each_shape
from tests.tasks_api.samples import add, echo, fail, note

a, b, c, d = (echo.s(name) for name in "abcd")


# One after the other (CANV-4, CANV-6)


def kinds(signature: Any) -> Any:
    """Say of which parts a signature is made: a task by its own argument, a canvas by its type and members."""
    match signature.subtask_type:
        case None:
            return signature.args[0]
        case "chord":
            return ["chord", [kinds(each) for each in signature.tasks], kinds(signature.body)]
    return [signature.subtask_type, *(kinds(each) for each in signature.tasks)]


JOINED: list[tuple[Callable[[], Any], Any]] = [
    (lambda: a | b, ["chain", "a", "b"]),
    (lambda: a | b | c, ["chain", "a", "b", "c"]),
    (lambda: a | (b | c), ["chain", "a", "b", "c"]),
    (lambda: chain(a, b) | chain(c, d), ["chain", "a", "b", "c", "d"]),
    (lambda: chain() | a, ["chain", "a"]),
    (lambda: a | chain(), ["chain", "a"]),
    (lambda: a | group(b, c), ["chain", "a", ["group", "b", "c"]]),
    (lambda: a | group(b), ["chain", "a", "b"]),
    (lambda: a | group(), ["chain", "a"]),
    (lambda: chain(a, b) | group([]), ["chain", "a", "b"]),
    (lambda: chain() | group(a, b), ["group", "a", "b"]),
    (lambda: group(a, b) | c, ["chord", ["a", "b"], "c"]),
    (lambda: group(a) | c, ["chord", ["a"], "c"]),
    (lambda: group(a, b) | group(), ["group", "a", "b"]),
    (lambda: group(a, b) | (c | d), ["chord", ["a", "b"], ["chain", "c", "d"]]),
    (lambda: group(a, b) | c | d, ["chord", ["a", "b"], ["chain", "c", "d"]]),
    (lambda: a | group(b, c) | d, ["chain", "a", ["chord", ["b", "c"], "d"]]),
    (lambda: a | group(b, c) | d | a, ["chain", "a", ["chord", ["b", "c"], ["chain", "d", "a"]]]),
    (lambda: chord([a, b], c) | d, ["chord", ["a", "b"], ["chain", "c", "d"]]),
    (lambda: chord([a, b], c) | group(a, d), ["chord", ["a", "b"], ["chain", "c", ["group", "a", "d"]]]),
    (lambda: chord([a, b], c) | chord([a], d), ["chord", ["a", "b"], ["chain", "c", ["chord", ["a"], "d"]]]),
    (lambda: a | chord([b], c), ["chain", "a", ["chord", ["b"], "c"]]),
    (lambda: group(a, b) | group(c, d), ["chain", ["group", "a", "b"], ["group", "c", "d"]]),
    (lambda: chord([a, b]) | c, ["chord", ["a", "b"], "c"]),
]


@pytest.mark.parametrize(("make", "expected"), JOINED)
def test_what_follows_is_joined(make: Callable[[], Any], expected: Any) -> None:
    """CANV-4, CANV-6: what follows a group makes it the header of a chord, what follows a chord its body's."""
    before = json.dumps([a, b, c, d])
    joined = make()
    assert kinds(joined) == expected
    assert isinstance(joined, {"chain": chain, "group": group, "chord": chord}[expected[0]])
    assert json.dumps([a, b, c, d]) == before


def test_both_sides_stay_as_they_are() -> None:
    """CANV-4."""
    left, right = chain(a, b), chain(c)
    joined = left | right
    joined.tasks[0].set(queue="other")
    joined.on_error(note.s())
    assert (left, right) == (chain(a, b), chain(c))
    longer = left
    longer |= d
    assert (kinds(left), kinds(longer)) == (["chain", "a", "b"], ["chain", "a", "b", "d"])


def test_only_signatures_follow_signatures() -> None:
    for other in (1, echo, None, {"no": "signature"}):
        with pytest.raises(TypeError):
            a | other
        with pytest.raises(TypeError):
            other | a
    assert a | dict(b) == dict(a) | b == a | b


def test_options_of_a_chain_stay_where_they_belong_when_it_goes_on() -> None:
    """CANV-1, CANV-4."""
    first = chain(a, b, countdown=5).on_error(note.s())
    first.link(note.s("linked"))
    assert (first | c).tasks == [
        echo.s("a").set(countdown=5).on_error(note.s()),
        echo.s("b").set(link=[note.s("linked")]).on_error(note.s()),
        c,
    ]


def test_chain_may_be_long() -> None:
    """CANV-4."""
    long = chain(echo.s(number) for number in range(1000))
    assert len(long.tasks) == 1000
    assert reduce(or_, (echo.s(number) for number in range(50))) == chain(echo.s(number) for number in range(50))


# Members


def test_members_are_given_one_by_one_or_together() -> None:
    """CANV-5."""
    for make in (chain, group):
        whole = make(a, b)
        assert make([a, b]) == make((a, b)) == make(iter([a, b])) == whole or make is group
        assert make(iter([a, b])).tasks == whole.tasks == [a, b]
    assert chord([a, b], c).tasks == chord(iter([a, b]), c).tasks == chord(group(a, b), c).tasks == [a, b]
    assert kinds(chord(chain(a, b), c)) == ["chord", [["chain", "a", "b"]], "c"]
    assert len(group(a, b)) == 2 and group([])


def test_chain_has_copies_of_its_steps() -> None:
    """CANV-4."""
    twice = chain(a, a)
    twice.tasks[0].set(queue="other")
    assert twice.tasks == [echo.s("a").set(queue="other"), a]


def test_group_has_copies_of_its_members() -> None:
    """CANV-5: nothing that is done to it is seen in what it was made of."""
    own = echo.s("a")
    whole = group(own, own)
    whole.skew()
    whole.set_immutable(True)
    whole.stamp(mark=1)
    whole.freeze()
    assert own == echo.s("a") and whole.tasks[0] != whole.tasks[1]
    header = group(own)
    chord(header, own).stamp(mark=1)
    assert own == echo.s("a") and header == group(echo.s("a"))


def test_generator_is_read_when_it_is_needed() -> None:
    """CANV-5."""
    read: list[int] = []

    def members() -> Any:
        for number in range(3):
            read.append(number)
            yield echo.s(number)

    lazy = group(members())
    whole = chain(a, lazy) | echo.s()
    assert repr(lazy) == "group(<generator>)" and "<generator>" in repr(whole)
    assert not read
    assert [each.args for each in lazy.tasks] == [(0,), (1,), (2,)] and read == [0, 1, 2]
    assert len(lazy) == 3
    assert json.loads(json.dumps(group(members()))) == json.loads(json.dumps(group(map(echo.s, range(3)))))


def test_limit_is_a_number_from_one() -> None:
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="a number from 1"):
            group(a, limit=wrong)  # type: ignore[arg-type]
    assert signature(json.loads(json.dumps(group(a, limit=2)))) == group(a, limit=2) != group(a)


def test_group_takes_no_callback() -> None:
    """CANV-5."""
    with pytest.raises(TypeError, match="a group takes no callbacks"):
        group(a, b).link(c)


def test_immutability_of_a_group_or_chord_is_its_members() -> None:
    """CANV-5, CANV-7."""
    assert group(a, b).set(immutable=True).tasks == [echo.si("a"), echo.si("b")]
    whole = chord([a, b], c)
    whole.set_immutable(True)
    assert (whole.tasks, whole.body) == ([echo.si("a"), echo.si("b")], c)


def test_members_are_skewed() -> None:
    """CANV-5."""

    def countdowns(skewed: group) -> list[float]:
        return [each.options["countdown"] for each in skewed.tasks]

    assert countdowns(group(a, b, c).skew()) == [1, 2, 3]
    assert countdowns(group(echo.s(each) for each in range(4)).skew(start=2, stop=5, step=2)) == [2, 4, 5, 5]


def test_callbacks_of_a_chord_are_its_bodys() -> None:
    """CANV-7."""
    whole = chord([a], echo.s("b"))
    whole.link(c)
    assert whole.body.options == {"link": [c]} and whole.tasks == [a]


def test_parts_can_be_set() -> None:
    whole, steps = chord([a], b), chain(a)
    whole.tasks, whole.body, steps.tasks = [b, dict(c)], d, (a, dict(b))
    assert kinds(whole) == ["chord", ["b", "c"], "d"] and kinds(steps) == ["chain", "a", "b"]
    whole.tasks = group(a)
    assert isinstance(whole.header, group) and whole.tasks == [a]


# Maps (CANV-11)


def test_maps_are_signatures_of_their_task() -> None:
    """CANV-11."""
    assert add.map(iter([1, 2])) == xmap(add.s(), [1, 2]) and add.starmap([(1, 2)]) == xstarmap(add.s(), [(1, 2)])
    made = add.chunks(((each, each) for each in range(5)), 2)
    assert isinstance(made, chunks)
    parts = made.group()
    assert isinstance(parts, group)
    assert [each.kwargs["it"] for each in parts.tasks] == [
        [(0, 0), (1, 1)],
        [(2, 2), (3, 3)],
        [(4, 4)],
    ]
    assert all(isinstance(each, xstarmap) for each in parts.tasks)
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(ValueError, match="a number of items from 1"):
            add.chunks([], wrong)  # type: ignore[arg-type]


def test_map_runs_here_and_now_when_it_is_called() -> None:
    """CANV-11."""
    assert echo.map([1, [2]])() == [[[1], {}], [[[2]], {}]]
    assert add.starmap([(1, 2), (3, 4)])() == [3, 7]


# How they are shown


def test_repr_is_celerys() -> None:
    """CANV-4."""
    name = "tests.tasks_api.samples"
    assert repr(add.s(2, 2) | add.s(3)) == f"{name}.add(2, 2) | add(3)"
    assert repr(group(add.s(2, 2), add.s(3, 3))) == f"group([{name}.add(2, 2), add(3, 3)])"
    assert repr(group(add.s(2, 2)) | echo.s(1)) == f"%{name}.echo([add(2, 2)], 1)"
    assert repr(chord([add.s(2, 2)], echo.s() | echo.s())) == f"%(group([{name}.add(2, 2)]) | {name}.echo() | echo())"
    assert repr(chord([a])) == f"<chord without body: group([{name}.echo('a')])>"
    assert repr(add.map([1, 2])) == f"[{name}.add(x) for x in [1, 2]]"
    assert repr(add.starmap([(1, 2)])) == f"[{name}.add(*x) for x in [(1, 2)]]"
    assert repr(add.chunks([(1, 2)], 3)) == f"chunks of 3 of {name}.add"
    assert (repr(chain()), repr(group([]))) == ("<chain: empty>", "group(<empty>)")


# JSON and copies


@each_shape
def test_shape_travels_as_json(shape: str) -> None:
    """CANV-1: and what arrives is a signature all the way down."""
    own = SHAPES[shape][0]()
    again = signature(json.loads(json.dumps(own)))
    assert type(again) is type(own) and json.dumps(again) == json.dumps(own)
    if isinstance(own, (chain, group)):
        assert all(isinstance(each, Signature) for each in again.tasks)
    if isinstance(own, chord):
        assert isinstance(again.header, group) and isinstance(again.body, Signature)


@each_shape
def test_copy_of_a_shape_shares_nothing(shape: str) -> None:
    """CANV-1."""
    own = SHAPES[shape][0]()
    text = json.dumps(own)
    other = own.clone()
    assert type(other) is type(own) and json.dumps(other) == text
    other.stamp(mark=1)
    assert json.dumps(own) == text != json.dumps(other) or shape.startswith("empty")


def test_data_of_celery_can_be_read() -> None:
    """CANV-1: a chord's header is a plain list there."""
    body = {"task": "t.body", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    data = {"task": "celery.chord", "args": [], "options": {}, "subtask_type": "chord", "immutable": False}
    read = signature({**data, "kwargs": {"kwargs": {}, "header": [{**body, "task": "t.a"}], "body": body}})
    assert isinstance(read, chord) and read.tasks == [signature("t.a")] and read.body == signature("t.body")


# Ids before anything is sent


def test_ids_of_a_canvas_are_known_once_it_is_frozen() -> None:
    """CANV-1."""
    steps = chain(a, b)
    last = steps.freeze()
    assert [each.id for each in steps.tasks] == [last.parent.id, last.id]
    members = group(a, b)
    whole = members.freeze()
    assert isinstance(whole, GroupResult) and whole.id == members.id
    assert [each.id for each in members.tasks] == [each.id for each in whole.results] == sorted(whole.results, key=str)
    together = chord([a, b], c)
    body = together.freeze()
    assert body.id == together.body.id and body.parent.id == together.header.id
    assert a.id is None


def test_frozen_id_is_the_last_ones() -> None:
    """CANV-1, CANV-4."""
    chosen = "018f4c1e-0000-7000-8000-000000000001"
    for whole in (chain(a, b), chord([a], b), group(a, b), chain(a, group(b, c)), chain(a, group(b, c), d)):
        assert whole.freeze(chosen).id == chosen


def test_same_signature_has_an_id_for_each_of_its_places() -> None:
    """CANV-1."""
    whole = chord([a, a, chain(a, a), a], a)
    body = whole.freeze()
    ids = [body.id, *(each.id for each in body.parent.results)]
    assert len(set(ids)) == 5 and a.id is None


def test_chunks_cannot_be_frozen() -> None:
    """CANV-11."""
    for whole in (add.chunks([(1, 2)], 1), chain(add.chunks([(1, 2)], 1), a), group(add.chunks([(1, 2)], 1))):
        with pytest.raises(TypeError, match="freeze the group"):
            whole.freeze()
    assert add.chunks([(1, 2)], 1).group().freeze()


def test_errback_of_a_canvas_is_kept_with_it() -> None:
    """CANV-3."""
    for whole in (chain(a, b), group(a, b), chord([a], b)):
        assert whole.on_error(fail.s()) is whole and whole.options["link_error"] == [fail.s()]
