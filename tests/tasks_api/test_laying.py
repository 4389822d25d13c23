"""Which messages and edges a signature is laid out as, without a database: what waits, for whom, and what it takes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from djtasks import AsyncResult, GroupResult, Signature, Workflow, chain, chord, group, shared_task, signature
from djtasks.domain.messages import NewMessage
from djtasks.domain.signatures import Call
from djtasks.domain.workflows import END, FAILURE, FEEDS, FEEDS_NOBODY, FEEDS_ON_FAILURE
from djtasks.tasks.canvas.laying import Layout
from tests.tasks_api.samples import add, echo, fail, note

a, b, c, d = (echo.s(name) for name in "abcd")


class Plan:
    """A signature as it was laid out; messages are numbered from 0."""

    def __init__(self, signature: Any, *args: Any, kwargs: dict[str, Any] | None = None, **options: Any) -> None:
        self.layout = Layout()
        self.messages = list(self.layout.messages(signature, Call(args, kwargs or {}, options)))
        self.number = {message.id: number for number, message in enumerate(self.messages)}

    @property
    def handle(self) -> Any:
        return self.layout.handle

    def lines(self) -> list[str]:
        """Describe each message: its task, its arguments, what it takes, and from whom."""
        return [" ".join(self._words(message)).strip() for message in self.messages]

    def _words(self, message: NewMessage) -> list[str]:
        edges = [edge for edge in self.layout.edges if edge.message == message.id]
        taken = sorted((edge.position, self.number[edge.upstream]) for edge in edges if edge.position is not None)
        awaited = [
            f"{edge.on}:{self.number[edge.upstream]}" if edge.on != "success" else f"({self.number[edge.upstream]})"
            for edge in edges
            if edge.position is None
        ]
        name = message.task.rpartition(".")[2]
        return [f"{name}{message.args}", message.inputs, *(str(number) for _, number in taken), *awaited]

    def options(self, number: int) -> dict[str, Any]:
        options: dict[str, Any] = json.loads(self.messages[number].options)
        return options

    def all(self, field: str) -> list[Any]:
        """Return a field of every message; ids as numbers."""
        values = [getattr(message, field) for message in self.messages]
        return [self.number.get(value, value) for value in values]


LAID: list[tuple[str, Callable[[], Any], list[str]]] = [
    ("CANV-4", lambda: a | b | c, ['echo["a"]', 'echo["b"] value 0', 'echo["c"] value 1']),
    ("CANV-1", lambda: a | echo.si("b") | c, ['echo["a"]', 'echo["b"] nothing (0)', 'echo["c"] value 1']),
    ("CANV-5", lambda: group(a, b), ['echo["a"]', 'echo["b"]']),
    ("CANV-5", lambda: group(a, group(b, group(c)), chain()), ['echo["a"]', 'echo["b"]', 'echo["c"]']),
    ("CANV-5", lambda: a | group(b, c), ['echo["a"]', 'echo["b"] value 0', 'echo["c"] value 0']),
    ("CANV-6", lambda: group(a, b) | c, ['echo["a"]', 'echo["b"]', 'echo["c"] list 0 1']),
    ("CANV-7", lambda: chord([a, b], echo.si("c")), ['echo["a"]', 'echo["b"]', 'echo["c"] all (0) (1)']),
    ("CANV-7", lambda: chord([], a), ['echo[[],"a"]']),
    ("CANV-7", lambda: chord([], echo.si("a")), ['echo["a"]']),
    (
        "CANV-6",
        lambda: a | group(b | c, d) | a,
        ['echo["a"]', 'echo["b"] value 0', 'echo["c"] value 1', 'echo["d"] value 0', 'echo["a"] list 2 3'],
    ),
    (
        "CANV-6: N + M edges, and not N x M",
        lambda: group(a, b) | group(c, d),
        ['echo["a"]', 'echo["b"]', "gather[] list 0 1", 'echo["c"] value 2', 'echo["d"] value 2'],
    ),
    (
        "CANV-6",
        lambda: group(a, b) | group(echo.si("c"), d),
        ['echo["a"]', 'echo["b"]', "gather[] list 0 1", 'echo["c"] nothing (2)', 'echo["d"] value 2'],
    ),
    (
        "CANV-5: a chain that ends in a group is one value",
        lambda: group(a | group(b, c), d),
        ['echo["a"]', 'echo["b"] value 0', 'echo["c"] value 0', "gather[] list 1 2", 'echo["d"]'],
    ),
    (
        "CANV-7: a body that is a group is the last, and several",
        lambda: chord([a, b], group(c, d)),
        ['echo["a"]', 'echo["b"]', "gather[] list 0 1", 'echo["c"] value 2', 'echo["d"] value 2'],
    ),
    ("CANV-4: empty groups are no steps", lambda: chain(group(), a, group([]), b), ['echo["a"]', 'echo["b"] value 0']),
    (
        "CANV-5: what is empty after all hands on an empty list",
        lambda: chain(a, group(each for each in ()), b),
        ['echo["a"]', "gather[[]] nothing (0)", 'echo["b"] value 1'],
    ),
    (
        "CANV-4: a group of one is its member",
        lambda: chain(a, group(b), c),
        ['echo["a"]', 'echo["b"] value 0', 'echo["c"] value 1'],
    ),
    (
        "CANV-5: no more than two at a time",
        lambda: group((echo.s(each) for each in range(4)), limit=2),
        ["echo[0]", "echo[1]", "echo[2] nothing end:0", "echo[3] nothing end:1"],
    ),
    (
        "CANV-6: a header keeps its limit",
        lambda: group(a, b, limit=1) | c,
        ['echo["a"]', 'echo["b"] nothing end:0', 'echo["c"] list 0 1'],
    ),
    (
        "CANV-5: a group in a group keeps its own limit",
        lambda: group(a, group(b, c, limit=1), d),
        ['echo["a"]', 'echo["b"]', 'echo["c"] nothing end:1', 'echo["d"]'],
    ),
    (
        "CANV-5: a member begins with its first messages, and ends with its last",
        lambda: a | group([b | c, chord([b, c], d)], limit=1),
        [
            'echo["a"]',
            'echo["b"] value 0',
            'echo["c"] value 1',
            'echo["b"] value 0 end:2',
            'echo["c"] value 0 end:2',
            'echo["d"] list 3 4',
        ],
    ),
    ("CANV-11", lambda: add.map([1, 2]) | a, ["map[]", 'echo["a"] value 0']),
    ("CANV-11", lambda: add.chunks([(1, 1), (2, 2)], 1) | a, ["starmap[]", "starmap[]", 'echo["a"] list 0 1']),
    ("CANV-11", lambda: group(add.chunks([(1, 1), (2, 2)], 1), a), ["starmap[]", "starmap[]", 'echo["a"]']),
]


@pytest.mark.parametrize(
    ("statement", "make", "expected"), LAID, ids=lambda value: value if isinstance(value, str) else ""
)
def test_signature_is_laid_out(statement: str, make: Callable[[], Any], expected: list[str]) -> None:
    """CANV-4 to CANV-7, CANV-11."""
    plan = Plan(make())
    assert plan.lines() == expected
    waited_for = {edge.upstream for edge in plan.layout.edges}
    assert all(message.feeds >= (message.id in waited_for) for message in plan.messages)
    assert [message.blocked for message in plan.messages] == [message.inputs != "" for message in plan.messages]
    assert sorted(plan.number) == list(plan.number)


def test_laying_changes_no_signature() -> None:
    """CANV-1."""
    whole = chain(a, group(b, c), d).on_error(note.s())
    before = json.dumps(whole)
    one, other = Plan(whole, 1, queue="slow"), Plan(whole, 1, queue="slow")
    assert json.dumps(whole) == before and one.lines() == other.lines() and not one.number.keys() & other.number


# What a call says of the whole


def test_arguments_of_a_chain_are_its_first_ones() -> None:
    """CANV-1, CANV-4."""
    plan = Plan(echo.s("own", x=1) | b, "given", kwargs={"y": 2})
    assert plan.lines() == ['echo["given","own"]', 'echo["b"] value 0']
    assert plan.all("kwargs") == ['{"x":1,"y":2}', "{}"]
    assert Plan(group(a, b) | c, "given").lines() == ['echo["given","a"]', 'echo["given","b"]', 'echo["c"] list 0 1']
    assert Plan(chain(group(), a, b), "given").lines()[0] == 'echo["given","a"]'


def test_arguments_of_a_group_are_every_members() -> None:
    """CANV-1, CANV-5."""
    plan = Plan(group(a, echo.si("b"), chain(c, d)), "given")
    assert plan.lines() == ['echo["given","a"]', 'echo["b"]', 'echo["given","c"]', 'echo["d"] value 2']


def test_options_of_a_chain_are_its_firsts_but_for_the_id_and_the_links() -> None:
    """CANV-2 to CANV-4."""
    chosen = "018f4c1e-0000-7000-8000-000000000001"
    plan = Plan(a | b, queue="slow", countdown=5, task_id=chosen, link=c, link_error=note.s())
    assert plan.lines() == ['echo["a"]', 'echo["b"] value 0', 'echo["c"] value 1']
    assert (plan.all("queue"), plan.all("delay")) == (["slow", "default", "default"], [5, 0, 0])
    assert (plan.handle.id, plan.messages[1].id, plan.layout.chosen) == (chosen, chosen, [chosen])
    assert ["link_error" in plan.options(number) for number in range(3)] == [True, True, False]


def test_options_of_a_group_are_every_members_but_for_the_id() -> None:
    """CANV-5."""
    chosen = "018f4c1e-0000-7000-8000-000000000001"
    plan = Plan(group(a, echo.s("b").set(queue="own", priority=2)), queue="slow", task_id=chosen, link_error=note.s())
    assert (plan.all("queue"), plan.all("priority"), plan.all("group")) == (["slow"] * 2, [0, 2], [chosen] * 2)
    assert plan.handle.id == chosen and not plan.layout.chosen
    assert all("link_error" in plan.options(number) for number in range(2))
    with pytest.raises(TypeError, match="a group takes no callbacks"):
        Plan(group(a, b), link=c)


def test_options_of_a_chord_are_both_parts_but_for_delay_id_and_links() -> None:
    """CANV-7."""
    chosen = "018f4c1e-0000-7000-8000-000000000001"
    plan = Plan(chord([a, b], c), queue="slow", countdown=5, task_id=chosen, link=d, link_error=note.s())
    assert plan.lines() == ['echo["a"]', 'echo["b"]', 'echo["c"] list 0 1', 'echo["d"] value 2']
    assert (plan.all("queue"), plan.all("delay")) == (["slow"] * 3 + ["default"], [5, 5, 0, 0])
    assert plan.handle.id == plan.messages[2].id == chosen
    assert ["link_error" in plan.options(number) for number in range(4)] == [False, False, True, False]


@pytest.mark.parametrize("make", [lambda: chord([a, b], c), lambda: chain(group(a, b), c)])
def test_errbacks_of_a_header_are_on_demand(make: Callable[[], Any]) -> None:
    """CANV-8."""

    def kept(plan: Plan) -> list[bool]:
        return ["link_error" in plan.options(number) for number in range(3)]

    assert kept(Plan(make().on_error(note.s()))) == [False, False, True]
    with override_settings(DJTASKS={"TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER": True}):
        assert kept(Plan(make().on_error(note.s()))) == [True, True, True]
    assert kept(Plan(chain(group(a, b).on_error(note.s()), c))) == [True, True, False]


def test_errbacks_of_a_chain_are_those_of_what_stands_between_its_groups() -> None:
    """CANV-3, CANV-8: once for a failure of the first group, and once for each of the second."""
    plan = Plan(chain(group(a, b), group(c, d)).on_error(note.s()))
    assert ["link_error" in plan.options(number) for number in range(5)] == [False, False, True, True, True]


# Relations


def test_messages_know_their_root_their_parent_and_their_group() -> None:
    """CALL-10, CANV-4, CANV-5."""
    plan = Plan(chain(a, group(b, c | d)), link_error=None)
    whole = plan.handle
    assert plan.all("root") == [None, 0, 0, 0] and plan.all("parent") == [None, 0, 0, 2]
    assert plan.all("group") == [None, whole.id, None, whole.id]
    assert [each.id for each in whole.results] == [plan.messages[1].id, plan.messages[3].id]
    assert isinstance(whole, GroupResult) and whole.parent.id == plan.messages[0].id


def test_body_knows_its_header() -> None:
    """CANV-7."""
    plan = Plan(chord([a, b], c | d))
    header = plan.handle.parent.parent
    assert isinstance(plan.handle, AsyncResult) and isinstance(header, GroupResult)
    assert [each.id for each in header.results] == [message.id for message in plan.messages[:2]]
    assert plan.options(2) == {"header": header.id} and plan.options(3) == {}
    assert plan.all("parent") == [None, None, None, 2] and plan.all("group")[:2] == [header.id] * 2


def test_group_after_a_group_has_that_as_its_parent() -> None:
    """CANV-6."""
    plan = Plan(group(a, b) | group(c, d))
    assert [each.id for each in plan.handle.parent.results] == [message.id for message in plan.messages[:2]]


def test_handle_of_nothing_is_none() -> None:
    """CANV-4."""
    assert Plan(chain()).handle is None and not Plan(chain(chain(), chain([]))).messages
    assert Plan(group()).handle.results == []


def test_frozen_ids_are_used() -> None:
    """CANV-1."""
    whole = chain(a, group(b, c | group(b, c)), echo.s().set(priority=3))
    result = whole.freeze()
    plan = Plan(whole)
    assert plan.handle == result and plan.handle.parent == result.parent
    assert [each.id for each in plan.handle.parent.results] == [each.id for each in result.parent.results]
    assert plan.handle.parent.parent == result.parent.parent
    assert set(plan.layout.chosen) == set(plan.number)


# Checks


def test_value_that_is_handed_over_counts_as_an_argument() -> None:
    """CALL-2, CANV-1."""
    Plan(add.s(1, 1) | add.s(1))
    for wrong in (add.s(1, 1) | add.s(1, 1), add.s(1, 1) | add.s(), add.s(1, 1) | add.si(1), group(a, b) | add.s()):
        with pytest.raises(TypeError, match=r"add\(\) cannot be called like this"):
            Plan(wrong)


def test_errback_is_checked_with_what_it_will_get() -> None:
    """CALL-2, CANV-3."""
    old = shared_task(lambda failed_id: None, name="old")
    new = shared_task(lambda request, exc, traceback, word: None, name="new")
    for right in (old.s(), new.s("word"), old.si(1), old.s() | new.si(1, 2, 3, 4), signature("elsewhere", (1, 2, 3))):
        Plan(a.clone().on_error(right))
    for wrong in (old.s(1), new.s(), new.s("word", "more"), old.s(other=1)):
        with pytest.raises(TypeError, match="cannot be called like this"):
            Plan(a.clone().on_error(wrong))


def test_chord_without_a_body_is_refused() -> None:
    """CANV-7."""
    with pytest.raises(TypeError, match="this chord has no body yet"):
        Plan(chord([a, b]))


def test_canvas_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="there is no canvas of the type 'ring'"):
        Plan({**a, "subtask_type": "ring"})


# Errbacks


def test_errback_is_kept_as_what_differs_from_the_defaults() -> None:
    """CANV-3."""
    plan = Plan(a.clone().on_error(echo.s(1).set(queue="slow", countdown=5).on_error(note.s())))
    (kept,) = plan.options(0)["link_error"]
    own_id = plan.messages[0].id
    further = {"task": note.name, "acks_late": False, "root": own_id, "parent": own_id}
    assert json.loads(kept.pop("options")) == {"link_error": [further]}
    assert kept == {
        "task": echo.name,
        "args": "[1]",
        "queue": "slow",
        "delay": 5.0,
        "acks_late": False,
        "root": own_id,
        "parent": own_id,
    }


def test_errback_that_is_no_plain_task_is_sent_by_one() -> None:
    """CANV-3."""
    linked = note.s(1)
    linked.link(echo.s())
    for errback in (note.s() | echo.s(), group(note.s(), echo.s()), note.si(1), linked):
        plan = Plan(a.clone().set(queue="slow").on_error(errback))
        (kept,) = plan.options(0)["link_error"]
        assert (kept["task"], kept["queue"]) == ("djtasks.errback", "slow")
        assert signature(json.loads(kept["kwargs"])["canvas"]) == errback


# What is djtasks' own


def test_list_is_gathered_where_its_members_run() -> None:
    """CANV-6: a worker for this queue alone does all of it."""
    slow = [echo.s(each).set(queue="slow", priority=7) for each in "abcd"]
    for whole in (group(slow[:2]) | group(slow[2:]), group(chain(slow[0], group(slow[1:])))):
        plan = Plan(whole)
        assert set(plan.all("queue")) == {"slow"} and set(plan.all("priority")) == {7}


def test_map_runs_where_its_task_would() -> None:
    """CANV-11."""
    slow = shared_task(lambda x: x, name="slow", queue="slow", priority=3, acks_late=True)
    with override_settings(DJTASKS={"TASK_ROUTES": {add.name: "routed"}}):
        for whole in (slow.map([1]), slow.starmap([[1]]), slow.chunks([[1]], 1)):
            (message,) = Plan(whole).messages
            assert (message.queue, message.priority, message.acks_late) == ("slow", 3, True)
            assert Plan(whole, queue="other").all("queue") == ["other"]
        assert Plan(add.map([1])).all("queue") == ["routed"]
        assert Plan(signature("elsewhere").set(queue="far") | add.starmap([(1, 1)])).all("queue") == ["far", "routed"]


def test_map_keeps_the_secrets_of_its_task() -> None:
    """CANV-11, S10."""
    secret = shared_task(lambda password: None, name="secret", sensitive=["password"])
    assert Plan(secret.map(["hunter2"])).options(0) == {"sensitive": True}


# Size


def test_size_is_linear() -> None:
    """B8: no message carries another one."""

    def size(members: int) -> int:
        inner = [chord((add.s(each, each) for each in range(members)), echo.s()) for _ in range(5)]
        plan = Plan(chord(inner, echo.s()) | group(a, b))
        return sum(len(repr(tuple(message))) for message in plan.messages) + len(repr(plan.layout.edges))

    assert size(200) < 2.2 * size(100)


def test_members_of_a_generator_are_not_held_in_memory() -> None:
    """CANV-5: but for their ids and handles."""
    layout = Layout()
    tracemalloc.start()
    try:
        for _ in layout.messages(group(echo.s("x" * 1000) for _ in range(12_000))):
            pass
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 12_000 * 1500
    assert len(layout.handle.results) == 12_000


def test_long_generator_is_read_once_and_says_so() -> None:
    """CANV-5."""
    short, long = (group(echo.s(each) for each in range(count)) for count in (3, 10_001))
    assert Plan(short).lines() == Plan(short).lines()
    assert len(Plan(long).messages) == 10_001
    with pytest.raises(RuntimeError, match="a generator of more than 10,000 members is read once"):
        Plan(long)


# Workflows of any shape


def laid(flow: Workflow) -> Plan:
    plan = Plan(chain())
    plan.messages = list(flow._messages(plan.layout))
    plan.number = {message.id: number for number, message in enumerate(plan.messages)}
    return plan


def test_each_waits_for_what_it_was_told_under_its_condition() -> None:
    flow = Workflow()
    one, two = flow.add(a), flow.add(b)
    both = flow.add(c, after=[two, one])
    flow.add(echo.si("d"), after=[one, (two, END)])
    flow.add(d, after=[both, (one, FAILURE)])
    flow.add(d, after=[both], on=FAILURE)
    plan = laid(flow)
    assert plan.lines() == [
        'echo["a"]',
        'echo["b"]',
        'echo["c"] list 1 0',
        'echo["d"] nothing end:1 (0)',
        'echo["d"] value 2 failure:0',
        'echo["d"] nothing failure:2',
    ]
    assert plan.all("feeds") == [FEEDS_ON_FAILURE, FEEDS, FEEDS_ON_FAILURE, *[FEEDS_NOBODY] * 3]
    assert plan.all("root") == [None, *[0] * 5]


def test_canvas_in_a_workflow_is_one_value() -> None:
    flow = Workflow()
    members = flow.add(group(a, b))
    flow.add(chord([a, b], c), after=[members])
    plan = laid(flow)
    assert plan.lines() == [
        'echo["a"]',
        'echo["b"]',
        "gather[] list 0 1",
        'echo["a"] value 2',
        'echo["b"] value 2',
        'echo["c"] list 3 4',
    ]
    assert members.result.id == plan.messages[2].id


def test_workflow_refuses_what_it_does_not_know() -> None:
    flow, other = Workflow(), Workflow()
    node = flow.add(a)
    with pytest.raises(ValueError, match="'sucess' is no condition: there are success, failure, end"):
        flow.add(b, after=[node], on="sucess")
    with pytest.raises(ValueError, match="was not added to this workflow"):
        other.add(b, after=[node])
    with pytest.raises(TypeError, match="is no signature"):
        flow.add(echo)
    other.add(chain())
    with pytest.raises(ValueError, match="an empty chain"):
        laid(other)
    assert node.feeds == FEEDS_NOBODY and isinstance(node.signature, Signature) and fail
