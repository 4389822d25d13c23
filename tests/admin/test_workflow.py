"""The workflow on the page of a task: drawn in layers, as a list, and never as a whole where it is large."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from djtasks import chain, chord, group
from djtasks.admin.tasks.admin import TaskAdmin
from djtasks.admin.tasks.workflow import around
from djtasks.admin.tasks.workflow.layers import in_layers
from djtasks.domain.identifiers import uuid7
from djtasks.models import Dependency, Message
from tests.admin.sentences import page_of
from tests.helpers_inprocess import run_one, run_until_empty
from tests.tasks import add, fail

NODE = re.compile(r'<a href="/admin/djtasks/task/([0-9a-f-]{36})/change/" class="djtasks-node djtasks-state-(\w+)"')


def drawn(page: str) -> dict[str, str]:
    """Return the ids of the nodes of the picture, and the styles of their states."""
    return dict(NODE.findall(page))


def links(page: str) -> int:
    return page.count('<path class="djtasks-link')


@pytest.mark.parametrize(
    ("nodes", "found", "layers"),
    [
        ("abc", ["ab", "bc"], ["a", "b", "c"]),
        ("abcd", ["ad", "bd", "cd"], ["abc", "d"]),
        ("abcd", ["ab", "bc", "ac", "cd", "ad"], ["a", "b", "c", "d"]),
        ("abcd", ["ac", "bd"], ["ab", "cd"]),
        ("abcd", ["ad", "bc"], ["ab", "dc"]),
        ("ab", ["ab", "ba"], ["a", "b"]),
        ("a", ["aa"], ["a"]),
    ],
)
def test_each_stands_behind_the_last_before_it(nodes: str, found: list[str], layers: list[str]) -> None:
    assert in_layers(list(nodes), [(link[0], link[1]) for link in found]) == [list(layer) for layer in layers]


def test_chain_is_drawn_as_it_is_and_as_it_was(admin_client: Client) -> None:
    last = chain(add.s(1, 2), add.s(3), add.s(4)).delay()
    ids = {last.id, last.parent.id, last.parent.parent.id}
    page = page_of(admin_client, last.parent.id)
    assert drawn(page) == {last.parent.parent.id: "ready", last.parent.id: "blocked", last.id: "blocked"}
    assert links(page) == 2 and "djtasks-came-of" not in page and page.count('aria-current="true"') == 1
    run_one()
    assert drawn(page_of(admin_client, last.id))[last.parent.parent.id] == "success"
    run_until_empty()
    page = page_of(admin_client, last.id)
    assert drawn(page) == dict.fromkeys(ids, "success") and links(page) == 2


def test_body_of_a_chord_stays_with_its_header(admin_client: Client) -> None:
    body = chord([add.s(1, each) for each in range(3)])(add.si(0, 0))
    members = {each.id for each in body.parent.results}
    page = page_of(admin_client, body.id)
    assert set(drawn(page)) == {body.id, *members} and links(page) == 3
    run_until_empty()
    page = page_of(admin_client, body.id)
    assert set(drawn(page)) == {body.id, *members} and links(page) == 3


def test_condition_is_told_where_it_is_not_success(admin_client: Client) -> None:
    first, second = add.delay(1, 2), add.delay(3, 4)
    Dependency.objects.create(message=second.id, upstream=first.id, on="failure")
    assert page_of(admin_client, first.id).count("on failure") == 2
    Dependency.objects.update(on="end")
    assert page_of(admin_client, first.id).count("at its end") == 2
    Dependency.objects.update(on="success")
    page = page_of(admin_client, first.id)
    assert links(page) == 1 and "djtasks-condition" not in page


def test_of_a_large_one_some_are_drawn_and_the_rest_is_counted(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around, "MOST_NODES", 6)
    workflow = chain(group(add.si(1, each) for each in range(20)), add.si(0, 0), add.si(1, 1))
    last = workflow.delay()
    body = last.parent
    page = page_of(admin_client, body.id)
    assert len(drawn(page)) == 6 and {body.id, last.id} <= set(drawn(page))
    assert "and 16 more" in page
    run_until_empty()
    page = page_of(admin_client, body.id)
    assert len(drawn(page)) == 6 and "and 16 more" in page


def test_large_one_takes_few_queries_and_no_payloads(admin_client: Client) -> None:
    body = chord([add.s(1, each) for each in range(100)])(add.si(0, 0))
    with CaptureQueriesContext(connection) as queries:
        page = page_of(admin_client, body.id)
    assert len(drawn(page)) == around.MOST_NODES and "and 41 more" in page
    assert len(queries) < 50
    reading = [query["sql"] for query in queries if '."args"' in query["sql"]]
    assert len(reading) == 2


@pytest.mark.parametrize("ask", ["members", "children", "followers"])
@pytest.mark.postgres
def test_of_a_very_large_one_no_more_is_read_than_is_shown(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """H7: it is counted so far, and no table is read through; of the page of one of them, too."""
    monkeypatch.setattr(around, "MOST_COUNTED", 100)
    middle, some = {"members": large_chord, "children": large_family, "followers": large_wait}[ask]()
    for task_id in (middle, some):
        with transaction.atomic():
            before = rows_read()
            page = page_of(admin_client, task_id)
            rows, entries = (now - then for now, then in zip(rows_read(), before, strict=True))
        assert len(drawn(page)) == around.MOST_NODES and "and 100+ more next to these" in page
        assert rows < 1000
        # Older ones sort all that follows from several tasks.
        assert entries < 5000 or connection.pg_version < 170000


MANY = 20_000
READ = """
    SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class
    WHERE relname LIKE 'djtasks%%' AND relkind = %s
"""


def rows_read() -> tuple[int, int]:
    """Count the rows of tables, and the entries of indexes, that PostgreSQL has read here so far."""
    with connection.cursor() as cursor:
        counts = [cursor.execute(READ, [kind]).fetchone()[0] for kind in "ri"]
    return int(counts[0]), int(counts[1])


def large_chord() -> tuple[UUID, UUID]:
    """Let a body wait for very many; return it, and one of them."""
    body = Message.objects.create(task="shop.body", due_at=None, inputs="list")
    insert_many(group=uuid7())
    return body.pk, edges_with(body, "SELECT %s, id")


def large_wait() -> tuple[UUID, UUID]:
    """Let very many wait for a task; return it, and one of them."""
    first = Message.objects.create(task="shop.first", feeds=1)
    insert_many(group=uuid7(), inputs="nothing")
    return first.pk, edges_with(first, "SELECT id, %s")


def large_family() -> tuple[UUID, UUID]:
    """Let very many be sent by one task; return it, and one of them."""
    parent = Message.objects.create(task="shop.parent")
    return parent.pk, insert_many(parent=parent.pk)


def insert_many(**given: Any) -> UUID:
    columns = {"task": "shop.each", "inputs": "", "group": None, "parent": None, **given}
    statement = """
        INSERT INTO djtasks_message (id, task, inputs, "group", parent)
        SELECT gen_random_uuid(), %s, %s, %s, %s FROM generate_series(1, %s)
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, [*columns.values(), MANY])
        cursor.execute("ANALYZE djtasks_message")
    return Message.objects.filter(task="shop.each").values_list("pk", flat=True)[0]


def edges_with(one: Message, pair: str) -> UUID:
    """Lay an edge between a task and each of the many; return one of these."""
    many = f"{pair}, 'success' FROM djtasks_message WHERE task = 'shop.each'"
    with connection.cursor() as cursor:
        cursor.execute(f'INSERT INTO djtasks_dependency (message, upstream, "on") {many}', [one.pk])
        cursor.execute("ANALYZE djtasks_dependency")
    return Message.objects.filter(task="shop.each").values_list("pk", flat=True)[0]


def test_what_is_next_to_them_in_two_ways_is_counted_once(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around, "MOST_NODES", 2)
    parent = add.delay(1, 2)
    last = chain(add.s(1, 2), add.s(3)).delay()
    Message.objects.filter(pk__in=(last.id, last.parent.id)).update(parent=parent.id)
    page = page_of(admin_client, last.id)
    assert set(drawn(page)) == {parent.id, last.id} and "and 1 more next to these" in page


def test_it_ends_after_some_steps(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(around, "MOST_STEPS", 2)
    last = chain(add.si(1, each) for each in range(9)).delay()
    page = page_of(admin_client, last.id)
    assert len(drawn(page)) == 3 and "and 1 more" in page


def test_task_that_is_its_own_ancestor_is_drawn(admin_client: Client) -> None:
    first, second = add.delay(1, 2), add.delay(3, 4)
    Dependency.objects.create(message=second.id, upstream=first.id)
    Dependency.objects.create(message=first.id, upstream=second.id)
    Dependency.objects.create(message=first.id, upstream=first.id)
    assert len(drawn(page_of(admin_client, first.id))) == 2


def test_task_alone_is_not_drawn(admin_client: Client) -> None:
    assert 'id="djtasks-workflow"' not in page_of(admin_client, fail.delay().id)


def test_what_may_not_be_seen_is_not_drawn(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    last = chain(add.s(1, 2), add.s(3), add.s(4)).delay()
    Message.objects.filter(pk=last.parent.id).update(queue="secret")

    def visible(self: TaskAdmin, request: Any, rows: Any) -> Any:
        return rows.exclude(queue="secret")

    monkeypatch.setattr(TaskAdmin, "visible", visible)
    assert last.parent.id not in drawn(page_of(admin_client, last.id))


def test_what_may_not_be_seen_is_counted(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    body = chord([add.s(1, each) for each in range(3)])(add.si(0, 0))
    Message.objects.filter(pk=body.parent.results[0].id).update(queue="secret")
    monkeypatch.setattr(TaskAdmin, "visible", lambda self, request, rows: rows.exclude(queue="secret"))
    page = page_of(admin_client, body.id)
    assert len(drawn(page)) == 3 and "and 1 more next to these" in page
