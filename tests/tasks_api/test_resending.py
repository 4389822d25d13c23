"""Tasks that operators send: what a new one has of another one like it, and what belongs to that one alone."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from djtasks import chain, group
from djtasks.models import Message
from djtasks.tasks.masking import MASK, shown_arguments
from djtasks.tasks.resending import SENT_BY, send_by
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, fail, note, ran

pytestmark = pytest.mark.django_db(transaction=True)
STANDING = {"queue": "mail", "priority": 7}


def row(handle: Any) -> Message:
    return Message.objects.get(pk=handle.id)


def sent_like(message: Message, args: Any = None, kwargs: Any = None) -> Message:
    """Send another one, with other arguments if any are given."""
    args, kwargs = message.args if args is None else args, message.kwargs if kwargs is None else kwargs
    return row(send_by("anna", message.task, args, kwargs, STANDING, message))


def test_what_a_call_says_of_its_run_is_said_again() -> None:
    said = {"headers": {"a": 1}, "tags": ["night"], "shadow": "sum", "ignore_result": True}
    limits = {"time_limit": 60, "soft_time_limit": None}
    first = row(add.apply_async((1, 2), **said, **limits, stamped_headers=["batch"], batch=7))
    second = sent_like(first)
    assert second.options == {**first.options, SENT_BY: "anna"} and first.options["stamped_headers"] == ["batch"]
    assert (second.task, second.args, second.kwargs) == (first.task, first.args, first.kwargs)
    assert (second.queue, second.priority) == ("mail", 7) and second.pk != first.pk


def test_what_is_sensitive_stays_so_where_only_the_message_says_it() -> None:
    """S10."""
    first = row(add.delay(1, 2))
    Message.objects.update(options={"sensitive": ["x"]})
    first.refresh_from_db()
    assert sent_like(first).options["sensitive"] == ["x"]


def test_what_was_shown_in_the_place_of_arguments_is_said_of_no_others() -> None:
    """S10: but they are not shown either."""
    first = row(add.apply_async((1, 2), argsrepr="(…)"))
    same, other = sent_like(first), sent_like(first, [1, 3])
    assert same.options["argsrepr"] == "(…)" and "argsrepr" not in other.options
    assert shown_arguments(other.task, other.args, other.kwargs, other.options) == (MASK, MASK)


def test_place_and_time_of_the_other_one_are_left_behind() -> None:
    steps = chain(group(add.si(1, 1), add.si(2, 2)), add.si(3, 3)).delay()
    first = row(steps)
    Message.objects.filter(pk=first.pk).update(
        options={**first.options, "parent_id": str(uuid4()), "schedule": "nightly", "slot": "x", SENT_BY: "bob"}
    )
    first.refresh_from_db()
    assert "header" in first.options
    second = sent_like(first)
    assert second.options == {SENT_BY: "anna"}
    assert (second.group, second.root, second.parent, second.inputs) == (None, None, None, "") and second.due_at


def test_errbacks_are_told_of_the_new_one() -> None:
    first = row(fail.apply_async(("broken",), link_error=note.s()))
    second = sent_like(first)
    (errback,) = second.options["link_error"]
    assert (errback["parent"], errback["root"]) == (str(second.pk), str(second.pk))
    Message.objects.filter(pk=first.pk).delete()
    run_until_empty()
    assert ran == [str(second.pk)]


def test_operator_is_named_only_where_there_is_one() -> None:
    """S9."""
    handle = send_by("anna", add.name, [1, 2], {}, STANDING)
    assert row(handle).options == {SENT_BY: "anna"} and SENT_BY not in row(add.delay(1, 2)).options
    with pytest.raises(TypeError, match="no option 'sent_by'"):
        add.apply_async((1, 2), sent_by="eve")
