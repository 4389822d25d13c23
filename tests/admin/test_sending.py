"""Tasks that operators send: a form made of what a body takes, empty or filled in from another task."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from djtasks import shared_task
from djtasks.models import Message
from djtasks.tasks import registry
from djtasks.tasks.masking import MASK
from tests.admin.conftest import REFUSED, Operator
from tests.admin.sentences import act, page_of
from tests.helpers_inprocess import run_until_empty
from tests.tasks import add, fail

PAGE = "admin:djtasks_send"


@pytest.fixture
def take() -> Iterator[str]:
    """A task that takes everything, and keeps one thing secret."""

    @shared_task(name="tests.take", sensitive=["password"])
    def take(user: str, password: str = "", *rest: Any, flag: bool = False, **more: Any) -> None:
        """Take it."""

    yield take.name
    registry.forget(take.name)


def shown(client: Client, **given: Any) -> str:
    answer = client.get(reverse(PAGE), given)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def sent(client: Client, where: dict[str, Any], **given: Any) -> str:
    """Send the form; return what it complains of, or nothing."""
    fields = {name if name in ("queue", "priority", "countdown") else f"argument_{name}": given[name] for name in given}
    answer = client.post(f"{reverse(PAGE)}?{urlencode(where)}", fields)
    return "" if answer.status_code == 302 else str(answer.context["form"].errors)


def test_task_is_chosen_and_sent(admin_client: Client) -> None:
    assert add.name in shown(admin_client)
    assert 'name="argument_x"' in shown(admin_client, task=add.name)
    assert sent(admin_client, {"task": add.name}, x="1", y="2", queue="mail", priority="5") == ""
    message = Message.objects.get()
    assert (message.task, message.kwargs, message.queue, message.priority) == (add.name, {"x": 1, "y": 2}, "mail", 5)
    assert LogEntry.objects.get().object_id == str(message.pk)


def test_values_are_json_or_text(admin_client: Client, take: str) -> None:
    given = {"user": "ann", "password": '"7"', "rest": '[1, "a"]', "flag": "true", "more": '{"b": null}'}
    assert sent(admin_client, {"task": take}, **given) == ""
    message = Message.objects.get()
    assert (message.args, message.kwargs) == (["ann", "7", 1, "a"], {"flag": True, "b": None})


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"x": "1"}, "required"),
        ({"x": "1", "y": "2", "queue": "a b"}, "no name for a queue"),
        ({"x": "1", "y": "2", "priority": "1000"}, "less than or equal"),
    ],
)
def test_what_no_body_takes_is_refused(admin_client: Client, given: dict[str, str], complaint: str) -> None:
    assert complaint in sent(admin_client, {"task": add.name}, **given)
    assert not Message.objects.exists() and not LogEntry.objects.exists()


def test_to_show_the_form_does_not_run_the_body(admin_client: Client) -> None:
    """A template calls what can be called."""
    ran: list[int] = []
    task = shared_task(name="tests.alone")(lambda: ran.append(1))
    assert "tests.alone" in shown(admin_client, task=task.name) and not ran
    registry.forget(task.name)


def test_only_registered_tasks_can_be_sent(admin_client: Client) -> None:
    """S2, S8."""
    assert "os.system: No task has this name." in shown(admin_client, task="os.system")
    admin_client.post(f"{reverse(PAGE)}?task=os.system", {"argument_command": "true"})
    assert not Message.objects.exists()


def test_only_what_may_be_chosen_is_offered_and_sent(admin_client: Client, dangerous: str) -> None:
    """S8: nor another one like it; nor what is djtasks' own."""
    assert dangerous not in shown(admin_client) and "djtasks.map" not in shown(admin_client)
    like = registry.get(dangerous).delay("ls").id
    assert "Send again with other" not in page_of(admin_client, like)
    for where in ({"task": dangerous}, {"like": like}, {"task": "djtasks.errback"}):
        assert REFUSED in shown(admin_client, **where)
        admin_client.post(f"{reverse(PAGE)}?{urlencode(where)}", {"argument_command": "rm"})
    assert Message.objects.count() == 1 and not LogEntry.objects.exists()


def test_task_is_sent_again_with_other_arguments(admin_client: Client) -> None:
    handle = fail.apply_async(("first",), queue="mail", headers={"a": 1})
    run_until_empty()
    page = shown(admin_client, like=handle.id)
    assert 'value="first"' in page and 'value="mail"' in page
    assert sent(admin_client, {"like": handle.id}, text="second", queue="mail") == ""
    message = Message.objects.get()
    assert (message.kwargs, message.queue) == ({"text": "second"}, "mail") and str(message.pk) != handle.id
    assert message.options["headers"] == {"a": 1}


def test_what_is_masked_is_handed_on_unseen(admin_client: Client, take: str) -> None:
    """S10."""
    handle = registry.get(take).apply_async(("ann", "correct horse"), queue="mail")
    page = shown(admin_client, like=handle.id)
    assert "correct horse" not in page and MASK in page
    assert sent(admin_client, {"like": handle.id}, user="bob", password=MASK) == ""
    assert Message.objects.order_by("-pk")[0].args == ["bob", "correct horse"]


def test_what_is_shown_as_something_else_is_not_shown_in_the_form(admin_client: Client) -> None:
    """S10: nor is it once it has been sent again."""
    handle = add.apply_async((1, 23456), argsrepr="(two numbers)")
    page = shown(admin_client, like=handle.id)
    assert "23456" not in page and page.count(f'value="{MASK}"') == 2
    assert sent(admin_client, {"like": handle.id}, x="7", y=MASK) == ""
    message = Message.objects.latest("pk")
    assert message.kwargs == {"x": 7, "y": 23456} and "23456" not in page_of(admin_client, message.pk)


def test_who_sent_it_is_kept_with_the_task(operator: Operator) -> None:
    """S9: for as long as it is there, and when it is run again."""
    anna, bob = operator("enqueue_task", name="anna"), operator("retry_task", name="bob")
    assert sent(anna, {"task": fail.name}, text="no") == ""
    task_id = Message.objects.get().pk
    told = '<td id="djtasks-sent-by">anna</td>'
    assert told in page_of(bob, task_id) and "djtasks-sent-by" not in page_of(bob, add.delay(1, 2).id)
    run_until_empty()
    assert told in page_of(bob, task_id)
    assert "runs again: 1" in act(bob, "retry", task_id) and told in page_of(bob, task_id)
    run_until_empty()
    assert "new id: 1" in act(bob, "send_again", task_id)
    assert told.replace("anna", "bob") in page_of(anna, Message.objects.get().pk)


def test_only_who_may_sends(operator: Operator) -> None:
    """S7."""
    handle = fail.delay("said")
    client = operator("retry_task", "view_payload")
    assert client.get(reverse(PAGE)).status_code == 403
    assert client.post(f"{reverse(PAGE)}?task={add.name}", {"argument_x": "1", "argument_y": "2"}).status_code == 403
    # Who may send, but not see what others have sent.
    blind = operator("enqueue_task", name="blind")
    assert "said" not in shown(blind, like=handle.id)
    assert sent(blind, {"task": add.name}, x="1", y="2") == ""
    assert Message.objects.count() == 2
