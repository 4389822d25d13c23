"""Secrets among the arguments are seen by the body and by nobody else (S10)."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from djtasks import AsyncResult, Task, send_task, shared_task
from djtasks.exceptions import ImproperlyConfigured, Reject
from djtasks.models import Message, Result
from djtasks.tasks import registry
from djtasks.tasks.context import Request
from djtasks.tasks.masking import MASK, shown_arguments, shown_texts, shown_value
from tests.helpers import reservation
from tests.helpers_inprocess import run_one, run_until_empty

SECRET = "correct horse 'battery' staple"
in_database = pytest.mark.django_db(transaction=True)


def task(sensitive: Any, body: Any = None) -> Task:
    return shared_task(name="shop.login", sensitive=sensitive)(body or (lambda user, password, *rest, **more: None))


@pytest.mark.parametrize(
    ("sensitive", "args", "kwargs", "shown"),
    [
        (["password"], ["ann", SECRET], {}, (["ann", MASK], {})),
        (["password"], ["ann"], {"password": SECRET}, (["ann"], {"password": MASK})),
        (["password"], [], {"user": "ann", "password": [SECRET]}, ([], {"user": "ann", "password": MASK})),
        (["rest"], ["ann", "x", SECRET, SECRET], {"more": 1}, (["ann", "x", MASK, MASK], {"more": 1})),
        (["more"], ["ann", "x"], {"token": SECRET}, (["ann", "x"], {"token": MASK})),
        (["token"], ["ann", "x"], {"token": SECRET, "y": 1}, (["ann", "x"], {"token": MASK, "y": 1})),
        (True, ["ann", SECRET], {"x": SECRET}, (MASK, MASK)),
        (False, ["ann", "x"], {}, (["ann", "x"], {})),
        (["password"], "{spoilt", {}, (MASK, MASK)),
        (False, "{spoilt", {}, ("{spoilt", {})),
    ],
)
def test_what_is_sensitive_is_masked(sensitive: Any, args: Any, kwargs: Any, shown: Any) -> None:
    """S10."""
    assert shown_arguments(task(sensitive).name, args, kwargs) == shown


@pytest.mark.parametrize(("sensitive", "shown"), [(True, MASK), (["password"], 7), (False, 7)])
def test_value_is_masked_with_everything(sensitive: Any, shown: Any) -> None:
    """S10."""
    assert shown_value(task(sensitive).name, 7) == shown
    assert shown_value("shop.login", None) is None


@in_database
def test_message_says_what_is_sensitive_where_its_task_is_not_known() -> None:
    """S10: an admin of another version."""
    task(["password"]).delay("ann", SECRET, password_hint="x")
    registry.forget("shop.login")
    message = Message.objects.get()
    assert shown_arguments(message.task, message.args, message.kwargs, message.options) == (
        [MASK, MASK],
        {"password_hint": "x"},
    )
    assert shown_arguments("shop.unknown", [1], {}, {"sensitive": "spoilt"}) == (MASK, MASK)
    assert shown_arguments("shop.unknown", [1], {}, "spoilt") == ([1], {})


@in_database
def test_call_may_say_how_its_arguments_are_shown() -> None:
    """S10: with Celery's names; also when the message is retried with other arguments."""

    @shared_task(bind=True, name="shop.login")
    def body(self: Task, password: str) -> None:
        self.retry((SECRET,), exc=OSError("later"), countdown=60)

    body.apply_async((SECRET,), argsrepr="(…)", kwargsrepr="{}")
    for _ in range(2):
        message = Message.objects.get()
        assert shown_arguments(message.task, message.args, message.kwargs, message.options) == ("(…)", "{}")
        run_one()
    assert send_task("shop.login", (SECRET,), argsrepr="x").exists()
    with pytest.raises(TypeError, match="argsrepr is a text"):
        body.apply_async((SECRET,), argsrepr=["x"])


@pytest.mark.parametrize("sensitive", ["password", ["pasword"], [1], [], 7])
def test_option_that_cannot_be_meant_is_refused(sensitive: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="sensitive"):
        shared_task(name="shop.login", sensitive=sensitive)(lambda password: None)


def test_reprs_show_no_arguments() -> None:
    """S10."""
    request = Request(id="7", task="shop.login", args=(SECRET,), kwargs={"password": SECRET})
    message = reservation("shop.login", SECRET)
    assert "shop.login" in repr(request) and "shop.login" in repr(message)
    assert SECRET not in f"{request!r} {message!r} {[message]!r}"


WAYS = ["raise", "chain", "key", "retry", "reject", "expected", "note", "return"]


@in_database
@pytest.mark.parametrize("how", WAYS)
def test_marker_is_found_nowhere(how: str, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """S10: not in the log, not in the records of errors, not in the admin; the body has it all the same."""
    seen: list[str] = []

    @shared_task(bind=True, name="shop.login", sensitive=["password"], throws=(PermissionError,), max_retries=1)
    def body(self: Task, user: str, password: str) -> str:
        seen.append(password)
        match how:
            case "raise":
                raise ValueError(f"{password} is wrong", password, {"tried": [password]})
            case "chain":
                try:
                    raise OSError(password)
                except OSError as error:
                    raise ValueError("no") from error
            case "key":
                {}[password]
            case "retry":
                self.retry(exc=ValueError(password), countdown=0)
            case "reject":
                raise Reject(password)
            case "expected":
                raise PermissionError(password)
            case "note":
                error = ValueError("no")
                error.add_note(password)
                raise error
        return "done"

    caplog.set_level(logging.INFO, "djtasks")
    result = body.delay("ann", SECRET)
    pages = [admin_page(client, result)]
    run_until_empty()
    pages.append(admin_page(client, result))
    assert set(seen) == {SECRET} and AsyncResult(result.id).args == ["ann", SECRET]
    record = Result.objects.get()
    haystack = [*pages, caplog.text, json.dumps(record.errors), str(result.traceback), *map(repr, caplog.records)]
    for text in haystack:
        assert "battery" not in text
    assert all("ann" in page and MASK in page for page in pages)


def admin_page(client: Client, result: AsyncResult) -> str:
    if not User.objects.exists():
        client.force_login(User.objects.create_superuser("root", "", "x"))
    response = client.get(f"/admin/djtasks/task/{result.id}/change/")
    assert response.status_code == 200
    listed = client.get("/admin/djtasks/task/")
    return response.content.decode() + listed.content.decode()


def test_arguments_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """S10: of no task, sensitive or not."""
    caplog.set_level(logging.DEBUG, "djtasks")
    words = " ".join(["plain", "as", "day"])
    shared_task(name="shop.plain")(lambda text: None).apply((words,))
    shared_task(name="shop.fails")(lambda text: 1 / 0).apply((words,))
    assert "shop.plain" in caplog.text and "shop.fails" in caplog.text and "plain as day" not in caplog.text


def test_texts_for_people_are_one_line_each() -> None:
    """S13, S10: what a terminal would act upon is shown instead."""
    evil = {"argsrepr": "a\n\x1b[31m", "kwargsrepr": "\u202e"}
    assert shown_texts("shop.unknown", [1], {}, evil) == (r"a\n\x1b[31m", r"\u202e")
    assert shown_texts(task(["password"]).name, ["ann", SECRET], {}) == (f"['ann', '{MASK}']", "{}")
