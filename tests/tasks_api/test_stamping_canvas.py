"""Stamps on all parts of a canvas, and visitors that name them (CANV-14)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from djtasks import StampingVisitor, chain, chord, group, signature
from djtasks.domain.signatures import Call
from djtasks.models import Message, Result
from djtasks.tasks.canvas.laying import Layout
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, echo, look, note

a, b, c, d = (echo.s(name) for name in "abcd")


def stamps(whole: Any) -> list[dict[str, Any]]:
    """Return the stamps of each message that a signature makes."""
    options = [json.loads(message.options) for message in Layout().messages(whole)]
    return [
        {name: each["headers"][name] for name in each["stamped_headers"]} if "stamped_headers" in each else {}
        for each in options
    ]


def fresh(*names: str) -> list[Any]:
    return [echo.s(name) for name in names]


@pytest.mark.parametrize(
    "make",
    [
        lambda: echo.s("a"),
        lambda: chain(*fresh("a", "b")),
        lambda: group(*fresh("a", "b")),
        lambda: group(iter(fresh("a", "b"))),
        lambda: chord(fresh("a", "b"), echo.s("c")),
        lambda: chain(echo.s("a"), group(echo.s("b"), chord(fresh("a", "b"), echo.s("c"))), echo.s()),
        lambda: add.map([1]),
        lambda: chain(add.chunks([(1, 1), (2, 2)], 1), echo.s()),
    ],
)
def test_every_member_is_stamped(make: Any) -> None:
    """CANV-14."""
    own = make()
    assert own.stamp(mark="x", other=1) is own
    assert all(each == {"mark": "x", "other": 1} for each in stamps(own))
    assert stamps(signature(json.loads(json.dumps(own)))) == stamps(own)


def test_callbacks_and_errbacks_are_stamped() -> None:
    """CANV-14."""
    own = echo.s("a").on_error(note.s())
    own.link(chain(*fresh("b", "c")))
    own.stamp(mark="x")
    assert stamps(own) == [{"mark": "x"}] * 3
    assert own.options["link_error"][0].options == {"mark": "x", "stamped_headers": ["mark"]}


def test_stamp_is_replaced_or_added_to() -> None:
    """CANV-14."""
    own = chain(*fresh("a", "b")).stamp(mark=1).stamp(mark=2, other=3)
    assert stamps(own) == [{"mark": 2, "other": 3}] * 2
    own.stamp(append_stamps=True, mark=4).stamp(append_stamps=True, mark=4)
    assert stamps(own) == [{"mark": [2, 4], "other": 3}] * 2
    by_header = echo.s().set(headers={"mark": 1}, stamped_headers=["mark"]).stamp(append_stamps=True, mark=2)
    assert stamps(by_header) == [{"mark": [1, 2]}]


def test_stamps_of_a_call_are_every_members_and_change_none_that_is_there() -> None:
    """CANV-1, CANV-14."""
    layout = Layout()
    whole = group(echo.s("a").stamp(mark="own"), echo.s("b"))
    given = {"stamped_headers": ["mark", "more"], "mark": "given", "more": 1}
    headers = [json.loads(message.options)["headers"] for message in layout.messages(whole, Call(options=given))]
    assert headers == [{"mark": "own", "more": 1}, {"mark": "given", "more": 1}]


class Everything(StampingVisitor):
    """Notes what it visits, and stamps each part with its own name."""

    def __init__(self) -> None:
        self.visited: list[str] = []

    def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
        self.visited.append(sig.args[0])
        return {"on_signature": sig.args[0]}

    def on_group_start(self, group: Any, **headers: Any) -> dict[str, Any]:
        self.visited.append(f"group of {len(group)}")
        return {"on_group_start": True}

    def on_group_end(self, group: Any, **headers: Any) -> None:
        self.visited.append("group ended")

    def on_chain_start(self, chain: Any, **headers: Any) -> dict[str, Any]:
        self.visited.append(f"chain of {len(chain.tasks)}")
        return {"on_chain_start": True}

    def on_chain_end(self, chain: Any, **headers: Any) -> None:
        assert headers["on_chain_start"]
        self.visited.append("chain ended")

    def on_chord_body(self, sig: Any, **header: Any) -> dict[str, Any]:
        self.visited.append("body")
        return {"on_chord_body": True}

    def on_callback(self, callback: Any, **header: Any) -> dict[str, Any]:
        self.visited.append("callback")
        return {"on_callback": True}

    def on_errback(self, errback: Any, **header: Any) -> None:
        self.visited.append("errback")


def test_visitor_is_led_through_all_parts_in_order() -> None:
    """CANV-14."""
    first = echo.s("first").on_error(echo.s("errback"))
    first.link(echo.s("linked"))
    visitor = Everything()
    whole = chain(first, chord(fresh("a", "b"), echo.s("body")))
    whole.stamp(visitor)
    assert visitor.visited == [
        *("chain of 2", "first", "callback", "linked", "errback", "errback"),
        *("group of 2", "a", "b", "group ended", "body", "body", "chain ended"),
    ]
    inner = {"on_chain_start": True, "on_group_start": True}
    assert stamps(whole) == [
        {"on_chain_start": True, "on_signature": "first"},
        {"on_chain_start": True, "on_callback": True, "on_signature": "linked"},
        {**inner, "on_signature": "a"},
        {**inner, "on_signature": "b"},
        {**inner, "on_chord_body": True, "on_signature": "body"},
    ]


def test_visitor_wins_and_names_which_of_its_headers_are_stamps() -> None:
    """CANV-14."""

    class Some(StampingVisitor):
        def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
            return {"mark": headers["mark"] + 1, "plain": "p", "stamped_headers": ["mark"]}

    (message,) = Layout().messages(echo.s().set(headers={"own": 1}).stamp(Some(), mark=1))
    assert json.loads(message.options) == {"headers": {"own": 1, "plain": "p", "mark": 2}, "stamped_headers": ["mark"]}


def test_visitor_that_says_nothing_stamps_nothing() -> None:
    """CANV-14."""
    own = chain(a, group(b, c), d)
    assert own.clone().stamp(StampingVisitor()) == own == own.clone().stamp()


@pytest.mark.django_db(transaction=True)
def test_bodies_see_their_stamps() -> None:
    """CANV-14."""
    result = (look.s("stamps", "stamped_headers") | look.si("stamps")).stamp(mark="x").apply_async()
    assert {message.options["headers"]["mark"] for message in Message.objects.all()} == {"x"}
    run_until_empty()
    assert result.parent.get() == {"stamps": {"mark": "x"}, "stamped_headers": ["mark"]}
    assert result.get() == {"stamps": {"mark": "x"}}
    assert Result.objects.get(pk=result.id).options["stamped_headers"] == ["mark"]
