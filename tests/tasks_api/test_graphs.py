"""Who came of whom: parents, children, and walks down the tree (RES-11)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from djtasks import AsyncResult, EagerResult, GroupResult, Task, shared_task
from djtasks.domain.identifiers import uuid7
from djtasks.exceptions import ChordError, IncompleteStream, ResultNotFound
from djtasks.models import Dependency, Message, Result
from djtasks.tasks.results.graphs import DependencyGraph
from djtasks.tasks.results.result import result_from_tuple
from tests.helpers_inprocess import run_one, run_until_empty
from tests.tasks_api.flows import message, send_chain, send_chord, send_group, step
from tests.tasks_api.samples import add, fail, note
from tests.tasks_api.test_waiting import LONG, Start, elsewhere

__all__ = ["elsewhere"]

in_database = pytest.mark.django_db(transaction=True)
Queries = Callable[[int], Any]


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@pytest.fixture
def spread() -> Iterator[Task]:
    """A task that sends others, and a group."""

    @shared_task(bind=True)
    def spread(self: Task, depth: int) -> int:
        if depth:
            spread.delay(depth - 1)
            send_group(message(add, depth, 1), message(add, depth, 2), parent=AsyncResult(str(self.request.id)))
        return depth

    yield spread


# Parents


@in_database
def test_steps_of_a_chain_lead_back_to_the_first() -> None:
    """CANV-4: with the handles that were given, and from rows alone."""
    last = send_chain(message(add, 1, 2), step(add, 10), step(add, 100))
    for end in (last, AsyncResult(last.id)):
        middle = end.parent
        assert middle is not None and middle.parent is not None and middle.parent.parent is None
    run_until_empty()
    rows = AsyncResult(last.id)
    assert rows.get() == 113 and rows.parent.get() == 13 and rows.parent.parent.get() == 3
    assert rows.parent == last.parent and last.as_list() == [last.id, middle.id, middle.parent.id]


@in_database
def test_parent_of_a_body_is_its_header() -> None:
    """CANV-7: whether it lives or has ended."""
    body = send_chord([message(add, n, n) for n in range(3)], total)
    found = AsyncResult(body.id).parent
    assert isinstance(found, GroupResult) and found == body.parent and found.results == body.parent.results
    run_until_empty()
    assert body.get() == 6 and AsyncResult(body.id).parent.get() == [0, 2, 4]


@in_database
def test_header_that_is_forgotten_is_no_parent() -> None:
    """CANV-7."""
    body = send_chord([message(add, 1, 1)], total)
    run_until_empty()
    AsyncResult(body.id).parent.forget()
    assert AsyncResult(body.id).parent is None


@in_database
def test_parent_of_a_group_is_what_all_members_came_of() -> None:
    """RES-9."""
    parent = add.delay(1, 2)
    group = send_group(message(add, 1, 1), message(add, 2, 2), parent=parent)
    restored = GroupResult.restore(group.id)
    assert restored is not None and restored.parent == parent
    Message.objects.filter(pk=group[0].id).update(parent=None)
    assert GroupResult(group.id).parent is None


def test_parent_that_is_given_is_not_looked_for() -> None:
    parent, eager = AsyncResult(uuid7()), EagerResult(uuid7(), 3, "SUCCESS")
    group = GroupResult(uuid7(), [], parent=parent)
    eager.parent = group
    assert eager.parent is group and eager.parent.parent is parent
    assert eager.as_list() == [eager.id, group.id, parent.id]


def test_handles_are_told_as_tuples() -> None:
    first = AsyncResult(uuid7())
    inner = GroupResult(uuid7(), [AsyncResult(uuid7())])
    group = GroupResult(uuid7(), [AsyncResult(uuid7(), parent=first), inner], parent=first)
    last = AsyncResult(uuid7(), parent=group)
    told = json.loads(json.dumps(last.as_tuple()))
    made = result_from_tuple(told)
    assert made == last and made.as_tuple() == last.as_tuple()
    assert isinstance(made.parent, GroupResult) and made.parent.results == group.results
    assert made.parent.parent == made.parent[0].parent == first and made.parent[1].results == inner.results
    assert result_from_tuple([first.id, None]) == first and result_from_tuple(last) is last


def test_long_chain_is_told_without_an_end_to_the_stack() -> None:
    handle = None
    for _ in range(5000):
        handle = AsyncResult(uuid7(), parent=handle)
    made = result_from_tuple(handle.as_tuple())
    assert made.as_list() == handle.as_list() and len(made.as_list()) == 5000


# Errors of parents


@in_database
def test_error_of_a_given_parent_is_raised_at_once() -> None:
    """RES-6."""
    failed = fail.delay("early")
    run_until_empty()
    waiting = AsyncResult(note.apply_async(("never",), countdown=600).id, parent=failed)
    with pytest.raises(ValueError, match="early"):
        waiting.get()
    with pytest.raises(ValueError, match="early"):
        AsyncResult(uuid7(), parent=failed).get()
    with pytest.raises(ResultNotFound):
        AsyncResult(uuid7(), parent=failed).get(follow_parents=False)


@in_database
def test_error_of_a_parent_is_nothing_to_what_has_succeeded() -> None:
    """RES-6: neither its own, nor one that its own parent has survived."""
    failed, survived = fail.delay("early"), add.delay(1, 2)
    survived.parent = failed
    run_until_empty()
    assert survived.get() == 3
    later = AsyncResult(add.delay(3, 4).id, parent=survived)
    run_until_empty()
    assert later.get() == 7


@in_database
def test_error_of_a_chain_is_that_of_the_step_which_failed() -> None:
    """RES-6, CANV-4."""
    last = send_chain(message(add, 1, 2), step(fail), step(add, 1))
    run_until_empty()
    assert last.state == last.parent.state == "FAILURE" and last.parent.parent.get() == 3
    for handle in (last, AsyncResult(last.id)):
        with pytest.raises(ValueError, match="3"):
            handle.get()


@in_database
def test_error_of_a_chord_names_the_member() -> None:
    """RES-6, CANV-8: its own error comes before those of its parents."""
    body = send_chord([message(add, 1, 2), message(fail, "broken")], total)
    run_until_empty()
    member = body.parent[1]
    for get in (body.get, AsyncResult(body.id).get):
        with pytest.raises(ChordError, match=f"Dependency {member.id} raised ValueError") as caught:
            get()
        assert isinstance(caught.value.__cause__, ValueError) and str(caught.value.__cause__) == "broken"
    assert isinstance(body.result, ChordError) and isinstance(body.get(propagate=False), ChordError)


@in_database
def test_many_parents_are_asked_in_one_statement(django_assert_max_num_queries: Queries) -> None:
    """RES-6."""
    last = send_chain(message(add, 1, 2), *(step(add, 1) for _ in range(30)))
    last = AsyncResult(uuid7(), parent=last)
    with django_assert_max_num_queries(3), pytest.raises(ResultNotFound):
        last.get()


# Children


@in_database
def test_children_are_the_tasks_that_were_sent_and_groups_as_one(spread: Task) -> None:
    """RES-9, CALL-10."""
    top = spread.delay(1)
    run_until_empty()
    child, group = top.children
    assert isinstance(child, AsyncResult) and child.name == spread.name and child.children == []
    assert isinstance(group, GroupResult) and group.get() == [2, 3] and group.children == group.results
    assert group == GroupResult.restore(group.id)


@in_database
def test_last_step_of_a_chain_in_a_group_is_the_child_of_the_step_before() -> None:
    """RES-9: and not the whole group."""
    parent, group = add.delay(1, 2), uuid7()
    first, last = send_chain(message(add, 1, 1), step(add, 1, group=str(group))).as_list()[::-1]
    other = send_group(message(add, 5, 5), parent=parent)
    Message.objects.filter(pk=other[0].id).update(group=group)
    Message.objects.filter(pk=first).update(parent=parent.id)
    assert sorted(child.id for child in parent.children) == [first, other[0].id]
    (child,) = AsyncResult(first).children
    assert isinstance(child, AsyncResult) and child.id == last


@in_database
def test_children_of_what_was_run_here_and_now_are_those_that_it_sent(django_assert_num_queries: Queries) -> None:
    """MON-3: nothing else of it is read from rows."""
    eager = EagerResult(uuid7(), 3, "SUCCESS")
    child = add.apply_async((1, 2), parent_id=eager.id)
    run_until_empty()
    assert list(eager.collect()) == [(eager, 3), (child, 3)]
    with django_assert_num_queries(0):
        assert eager.parent is None and eager.get() == 3 and eager.ready()


# Walks


@in_database
def test_tree_is_walked_breadth_first(spread: Task) -> None:
    """RES-11."""
    top = spread.delay(2)
    run_until_empty()
    walked = list(top.iterdeps())
    nodes = [node for _, node in walked]
    assert walked[0] == (None, top) and nodes[1:3] == top.children
    assert {parent.id for parent, _ in walked[3:7]} == {node.id for node in nodes[1:3]}
    values = [value for _, value in top.collect()]
    assert values == [2, 1, [3, 4], 0, [2, 3], 3, 4, 2, 3]
    assert top.get_leaf() == 3


@in_database
def test_tree_that_is_not_complete_is_no_answer(spread: Task) -> None:
    """RES-11."""
    top = spread.delay(1)
    with pytest.raises(IncompleteStream, match=top.id):
        list(top.collect())
    run_one()
    walk = top.iterdeps()
    assert [node for _, node in (next(walk), next(walk), next(walk))] == [top, *top.children]
    with pytest.raises(IncompleteStream):
        next(walk)
    with pytest.raises(IncompleteStream):
        list(top.collect())
    with pytest.raises(IncompleteStream):
        top.build_graph()
    assert [value for _, value in top.collect(intermediate=True)] == [1, None, None]
    assert len(list(top.iterdeps(intermediate=True))) == len(top.build_graph(intermediate=True)) == 3


def test_tree_is_waited_for_where_a_time_limit_is_given(spread: Task, elsewhere: Start) -> None:
    """RES-11: as Celery's is."""
    top = spread.delay(1)
    values = elsewhere(lambda: [value for _, value in top.collect(timeout=LONG)])
    run_until_empty()
    assert values.result(LONG) == [1, 0, [2, 3], 2, 3]


def test_last_of_a_tree_is_waited_for(spread: Task, elsewhere: Start) -> None:
    """RES-11."""
    top = spread.delay(1)
    leaf = elsewhere(top.get_leaf)
    run_until_empty()
    assert leaf.result(LONG) == 3


@in_database
def test_errors_in_a_tree_are_raised_unless_they_are_values(spread: Task) -> None:
    """RES-11."""
    top = send_chain(message(add, 1, 2), step(fail))
    run_until_empty()
    tree = AsyncResult(top.as_list()[-1])
    with pytest.raises(ValueError, match="3"):
        list(tree.collect())
    assert [str(value) for _, value in tree.collect(propagate=False)] == ["3", "3"]


@in_database
def test_task_that_is_its_own_ancestor_is_met_once() -> None:
    """RES-11: whoever chooses ids can make one."""
    one, two = add.delay(1, 2), add.delay(3, 4)
    Message.objects.filter(pk=one.id).update(parent=two.id)
    Message.objects.filter(pk=two.id).update(parent=one.id)
    run_until_empty()
    assert list(one.collect()) == [(one, 3), (two, 7)]


@in_database
def test_level_of_a_tree_is_read_in_few_statements(django_assert_max_num_queries: Queries) -> None:
    """RES-11."""
    top, group = uuid7(), uuid7()
    rows = [Result(task=add.name, state="SUCCESS", value=n, parent=top, group=group) for n in range(500)]
    leaves = [Result(task=add.name, state="SUCCESS", value=-1, parent=row.pk) for row in rows]
    Result.objects.bulk_create([Result(id=top, task=add.name, state="SUCCESS", value=1), *rows, *leaves])
    with django_assert_max_num_queries(40):
        values = [value for _, value in AsyncResult(top).collect()]
    assert values == [1, list(range(500)), *range(500), *[-1] * 500]


# Graphs


@in_database
def test_graph_knows_who_came_of_whom(spread: Task) -> None:
    """RES-11."""
    top = spread.delay(1)
    run_until_empty()
    child, group = top.children
    graph = top.graph
    assert list(graph) == [top, child, group, *group] and graph[top] == [child, group] and top in graph
    assert graph.edges() == [(top, child), (top, group), (group, group[0]), (group, group[1])]
    order = graph.topsort()
    assert order[-1] == top and order.index(group) > order.index(group[0])
    file = io.StringIO()
    top.build_graph(formatter=lambda node: f'"{type(node).__name__}"').to_dot(file)
    lines = file.getvalue().splitlines()
    assert lines[0] == "digraph {" and lines[-1] == "}" and len(lines) == 2 + len(graph) + 4
    assert lines[1] == f'    "{top.id}" [label="\\"AsyncResult\\""];'
    assert f'    "{top.id}" -> "{group.id}";' in lines


def test_graph_may_be_put_together_by_hand() -> None:
    graph = DependencyGraph()
    graph.add_arc("alone")
    graph.add_edge("a", "b")
    graph.add_edge("a", "c")
    file = io.StringIO()
    graph.to_dot(file)
    assert graph.edges() == [("a", "b"), ("a", "c")] and set(graph) == {"alone", "a", "b", "c"}
    assert '"a" -> "c";' in file.getvalue()


# What was never run


@in_database
def test_edges_are_forgotten_with_the_results_that_keep_them() -> None:
    """RES-10."""
    last = send_chain(message(fail), step(add, 1), step(add, 1))
    kept = send_chain(message(fail), step(add, 1))
    run_until_empty()
    assert Dependency.objects.count() == 3
    last.forget()
    assert set(Dependency.objects.values_list("message", flat=True)) == {uuid_of(kept)}
    living = send_chain(message(add, 1, 2, delay=600.0), step(add, 1))
    living.forget()
    assert Dependency.objects.filter(message=uuid_of(living)).exists()


def uuid_of(handle: AsyncResult) -> Any:
    return (Result.objects.filter(pk=handle.id).first() or Message.objects.get(pk=handle.id)).pk
