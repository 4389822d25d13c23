"""The list of tasks: what lives and what has ended in one, and what filters and searches find."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from djtasks import AsyncResult, chain, send_task, shared_task
from djtasks.admin.tasks import listing
from djtasks.models import Message, Result, Schedule, Slot, Worker
from djtasks.tasks import registry
from djtasks.testing.inline import InlineWorker
from tests.admin.conftest import Operator
from tests.admin.sentences import link, listed, looked_at, page_of
from tests.helpers_inprocess import run_until_empty
from tests.tasks import add, fail

LATER = timedelta(hours=1)


def one_of_each() -> dict[str, str]:
    """Make a task in each state; return their ids."""
    now = timezone.now()
    ids: dict[str, str] = {}
    ids["SUCCESS"], ids["FAILURE"] = add.delay(1, 2).id, fail.delay().id
    run_until_empty()
    ids["REVOKED"] = add.delay(1, 2).id
    AsyncResult(ids["REVOKED"]).revoke()
    facts = {
        "ready": {},
        "delayed": {"due_at": now + LATER},
        "retrying": {"due_at": now + LATER, "retries": 1},
        "blocked": {"due_at": None},
        "reserved": {"leased_until": now + LATER},
        "running": {"leased_until": now + LATER, "started_at": now},
    }
    for label, columns in facts.items():
        ids[label] = add.delay(1, 2).id
        Message.objects.filter(pk=ids[label]).update(**columns)
    return ids


def test_live_and_ended_tasks_are_one_list_in_their_states(admin_client: Client) -> None:
    ids = one_of_each()
    shown = listed(admin_client)
    assert shown == {pk: state for state, pk in ids.items()}
    assert list(shown) == sorted(ids.values(), reverse=True)


def test_each_state_can_be_asked_for(admin_client: Client) -> None:
    ids = one_of_each()
    for state, pk in ids.items():
        assert listed(admin_client, state=state) == {pk: state}
    ended = {"SUCCESS", "FAILURE", "REVOKED"}
    assert set(listed(admin_client, state="ended").values()) == ended
    assert set(listed(admin_client, state="live").values()) == set(ids) - ended


def test_state_that_only_a_newer_version_knows_is_shown_and_found(admin_client: Client) -> None:
    """E15."""
    pk = str(Result.objects.create(task="newer.task", state="DISCARDED").pk)
    assert listed(admin_client, state="DISCARDED") == {pk: "DISCARDED"} == listed(admin_client)


def test_attempts_are_told_of_how_many_and_the_moment_as_how_long_ago(admin_client: Client) -> None:
    """A short word in the list, and the moment itself for who points at it."""
    retried = add.delay(1, 2).id
    Message.objects.filter(pk=retried).update(
        retries=1,
        started_at=timezone.now(),
        leased_until=timezone.now() + LATER,
        enqueued_at=timezone.now() - timedelta(hours=3, minutes=20),
    )
    page = looked_at(admin_client)
    assert f"2 of {add.max_retries + 1}" in page and f"2 of {add.max_retries + 1}" in page_of(admin_client, retried)
    assert re.search(r'<time datetime="20\d\d-\S+" title="[^"]+">3 h ago</time>', page)


def test_filters_narrow_the_list(admin_client: Client) -> None:
    schedule = Schedule.objects.create(name="hourly", task=add.name, kind="interval", expression="1h")
    worker = Worker.objects.create(name="w@here", host="here", pid=1, pool="solo", slots=1)
    mail, old = add.apply_async((1, 2), queue="mail").id, fail.delay().id
    Message.objects.filter(pk=old).update(enqueued_at=timezone.now() - timedelta(days=2))
    Slot.objects.create(schedule=schedule, due_at=timezone.now(), message=mail)
    held = add.delay(3, 4).id
    Message.objects.filter(pk=held).update(worker=worker.pk, leased_until=timezone.now() + LATER)
    ended = str(Result.objects.create(task=add.name, state="SUCCESS", hostname="w@here").pk)
    for given, found in (
        ({"queue": "mail"}, [mail]),
        ({"task": fail.name}, [old]),
        ({"worker": "w@here"}, [ended, held]),
        ({"worker": str(worker.pk)}, [held]),
        ({"within": "3600"}, [ended, held, mail]),
        ({"schedule": "hourly"}, [mail]),
        ({"schedule": "hourly", "queue": "default"}, []),
    ):
        assert list(listed(admin_client, **given)) == found, given


def test_workflow_is_found_by_any_id_that_holds_it_together(admin_client: Client) -> None:
    handle = chain(add.s(1, 2), add.s(3)).delay()
    other = add.delay(5, 6).id
    first = handle.parent.id
    shown = listed(admin_client, workflow=first)
    assert {first, handle.id} <= set(shown) and other not in shown


@pytest.mark.parametrize("given", [{"workflow": "x"}, {"within": "x"}, {"before": "x"}, {"no_filter": "1"}])
def test_what_cannot_be_meant_leads_back_to_the_list(admin_client: Client, given: dict[str, str]) -> None:
    assert admin_client.get("/admin/djtasks/task/", given).status_code == 302


# Search


def test_task_is_found_by_its_id_and_by_how_that_begins(admin_client: Client) -> None:
    wanted = add.apply_async((1, 2), task_id="a1b2c3d4-0000-4000-8000-000000000001").id
    Result.objects.create(pk=UUID("a1b2c3d4-0000-4000-8000-000000000002"), task=add.name, state="SUCCESS")
    add.delay(1, 2)
    assert list(listed(admin_client, q=wanted)) == [wanted]
    assert len(listed(admin_client, q="a1b2c3d4-0000")) == 2


def test_task_is_found_by_a_part_of_its_name(admin_client: Client) -> None:
    wanted = fail.delay().id
    add.delay(1, 2)
    assert list(listed(admin_client, q="S.FAI")) == [wanted]


def test_task_is_found_by_the_value_of_an_argument(admin_client: Client) -> None:
    """By position and by name; and 1 is not 12."""
    wanted, named = add.delay(1, 12).id, add.apply_async(kwargs={"x": 1, "y": 12}).id
    add.delay(12, 1)
    text = fail.delay("näh").id
    run_until_empty()
    unknown = send_task("elsewhere.task", kwargs={"y": 12}).id
    assert list(listed(admin_client, q="y:12")) == [unknown, named, wanted]
    assert list(listed(admin_client, q="y:1 add x:12")) != []
    assert list(listed(admin_client, q="y:2")) == []
    assert list(listed(admin_client, q="text:näh")) == [text]


def test_search_goes_on_through_what_only_looks_as_if_it_fitted(admin_client: Client) -> None:
    wanted = add.delay(7, 0).id
    for _ in range(2 * listing.PAGE):
        add.delay(0, 7)
    assert list(listed(admin_client, q="x:7")) == [wanted]


def test_what_is_masked_cannot_be_searched(admin_client: Client, operator: Operator) -> None:
    """S10: neither a sensitive argument, nor any by who may not see them."""
    log_in = shared_task(name="tests.log_in", sensitive=["password"])(lambda user, password: None)
    hidden, plain = log_in.delay("me", password="secret-7").id, add.delay(7, 0).id
    assert list(listed(admin_client, q="password:secret-7")) == []
    assert list(listed(admin_client, q="x:7")) == [plain]
    assert list(listed(operator(), q="x:7")) == []
    assert list(listed(operator("view_payload", name="other"), q="user:me")) == [hidden]
    registry.forget(log_in.name)


# Pages


def test_pages_go_on_from_ids_both_ways(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from djtasks.admin.tasks.admin import TaskAdmin

    monkeypatch.setattr(TaskAdmin, "list_per_page", 3)
    ids = [str(Result.objects.create(task="t", state="SUCCESS").pk) if n % 2 else add.delay(n, n).id for n in range(8)]
    ids.reverse()
    first = looked_at(admin_client)
    assert list(listed(admin_client)) == ids[:3] and link(first, "Newer") is link(first, "Newest") is None
    older = link(first, "Older")
    assert older and list(listed(admin_client, **older)) == ids[3:6]
    second = looked_at(admin_client, **older)
    third = link(second, "Older")
    assert third and list(listed(admin_client, **third)) == ids[6:]
    assert link(looked_at(admin_client, **third), "Older") is None
    newer = link(looked_at(admin_client, **third), "Newer")
    assert newer and list(listed(admin_client, **newer)) == ids[3:6]
    assert list(listed(admin_client, **link(second, "Newer") or {})) == ids[:3]


def test_search_looks_at_so_many_rows_and_goes_on_when_asked(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S15, H7."""
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 5)
    wanted = fail.delay().id
    for number in range(6):
        add.delay(number, number)
        Result.objects.create(task="t", state="SUCCESS")
    page, looks = looked_at(admin_client, task=fail.name), 1
    while wanted not in page:
        further = link(page, "Look further back")
        assert further and further["task"] == fail.name
        page, looks = looked_at(admin_client, **further), looks + 1
    assert 1 < looks < 5
    # What an index finds is found at once.
    assert list(listed(admin_client, q=wanted)) == [wanted]


def test_what_ends_while_the_list_is_read_is_listed_once(admin_client: Client) -> None:
    pk = uuid4()
    Message.objects.create(pk=pk, task=add.name)
    Result.objects.create(pk=pk, task=add.name, state="SUCCESS")
    assert listed(admin_client) == {str(pk): "SUCCESS"}


def test_nothing_is_counted_and_no_payload_is_read(admin_client: Client) -> None:
    one_of_each()
    for given in ({}, {"state": "FAILURE"}, {"q": "add"}, {"queue": "default"}):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            listed(admin_client, **given)
        ours = [
            each["sql"] for each in queries if '"djtasks_message"' in each["sql"] or '"djtasks_result"' in each["sql"]
        ]
        assert ours and not [sql for sql in ours if "COUNT(" in sql.upper()]
        assert not [sql for sql in ours for column in ("args", "kwargs", "errors", "value") if f'."{column}"' in sql]


# One task


def test_page_of_a_task_tells_its_story(admin_client: Client) -> None:
    handle = fail.delay("it <b>broke</b>")
    worker = InlineWorker("w@here")
    (message,) = worker.reserve()
    assert "running" in page_of(admin_client, handle.id)
    worker.deliver(message)
    page = page_of(admin_client, handle.id)
    for text in ("FAILURE", "ValueError", "Traceback (most recent call last)", "it &lt;b&gt;broke&lt;/b&gt;", "begun"):
        assert text in page
    assert "<b>broke" not in page


def test_progress_is_shown(admin_client: Client) -> None:
    handle = add.delay(1, 2)
    Message.objects.update(meta={"done": 3, "total": 10, "message": "halfway <i>"})
    page = page_of(admin_client, handle.id)
    assert '<progress max="10" value="3"' in page and "halfway &lt;i&gt;" in page


def test_relations_are_linked(admin_client: Client) -> None:
    last = chain(add.s(1, 2), add.s(3)).delay()
    first = last.parent
    assert f"/task/{first.id}/change/" in page_of(admin_client, last.id)
    assert f"/task/{last.id}/change/" in page_of(admin_client, first.id)


def test_task_that_is_not_there_leads_to_the_list(admin_client: Client) -> None:
    for pk in (str(uuid4()), "nonsense"):
        answer = admin_client.get(f"/admin/djtasks/task/{pk}/change/", follow=True)
        assert answer.redirect_chain and b"There is no such task" in answer.content


@pytest.mark.parametrize("column", ["args", "kwargs", "options", "errors"])
def test_row_that_cannot_be_read_is_shown(admin_client: Client, column: str) -> None:
    """S18."""
    handle = add.delay(1, 2)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE djtasks_message SET {column} = %s", ['{"half'])  # noqa: S608
    assert handle.id in page_of(admin_client, handle.id) and handle.id in listed(admin_client)
