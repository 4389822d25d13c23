"""What the tests of the control room say: look at the list, look at a task, do something to some."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client
from django.urls import reverse

from djtasks.admin.confirming import CONFIRMED

LIST = "admin:djtasks_task_changelist"
ROW = re.compile(r'data-state="([^"]*)".*?/task/([0-9a-f-]{36})/change/', re.DOTALL)


def looked_at(client: Client, **given: Any) -> str:
    """Return the list as it is shown."""
    answer = client.get(reverse(LIST), given)
    assert answer.status_code == 200, (answer.status_code, answer.headers)
    return answer.content.decode()


def listed(client: Client, **given: Any) -> dict[str, str]:
    """Return the ids in the list, in their order, and the states that are shown."""
    return {pk: state for state, pk in ROW.findall(looked_at(client, **given))}


def page_of(client: Client, task_id: Any) -> str:
    """Return the page of a task."""
    answer = client.get(reverse("admin:djtasks_task_change", args=[task_id]))
    assert answer.status_code == 200, (answer.status_code, answer.headers)
    return answer.content.decode()


def link(page: str, text: str) -> dict[str, str] | None:
    """Return the parameters of the link with this text, or None."""
    found = re.search(rf'<a href="\?([^"]*)"[^>]*>[^<]*{text}', page)
    if found is None:
        return None
    return dict(pair.split("=", 1) for pair in unescape(found[1]).split("&"))


def act(client: Client, verb: str, *ids: Any, where: str = "", confirmed: bool = True, **given: Any) -> str:
    """Choose tasks and an action, and confirm it; return what the operator is told in the end."""
    data = {"action": verb, "index": "0", ACTION_CHECKBOX_NAME: [str(each) for each in ids], **given}
    if confirmed:
        data[CONFIRMED] = "yes"
    answer = client.post(f"{reverse(LIST)}{where}", data, follow=True)
    assert answer.status_code == 200
    return unescape(answer.content.decode())
