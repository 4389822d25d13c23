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
from tests.admin.conftest import Operator
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
    assert "No task is named os.system" in shown(admin_client, task="os.system")
    admin_client.post(f"{reverse(PAGE)}?task=os.system", {"argument_command": "true"})
    assert not Message.objects.exists()


def test_task_is_sent_again_with_other_arguments(admin_client: Client) -> None:
    handle = fail.apply_async(("first",), queue="mail")
    run_until_empty()
    page = shown(admin_client, like=handle.id)
    assert 'value="first"' in page and 'value="mail"' in page
    assert sent(admin_client, {"like": handle.id}, text="second", queue="mail") == ""
    message = Message.objects.get()
    assert (message.kwargs, message.queue) == ({"text": "second"}, "mail") and str(message.pk) != handle.id


def test_what_is_masked_is_handed_on_unseen(admin_client: Client, take: str) -> None:
    """S10."""
    handle = registry.get(take).apply_async(("ann", "correct horse"), queue="mail")
    page = shown(admin_client, like=handle.id)
    assert "correct horse" not in page and MASK in page
    assert sent(admin_client, {"like": handle.id}, user="bob", password=MASK) == ""
    assert Message.objects.order_by("-pk")[0].args == ["bob", "correct horse"]


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
