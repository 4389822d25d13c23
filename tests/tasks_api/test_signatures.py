"""A call that is not sent yet: how it is made, merged, changed, shown and written as JSON (CANV-1)."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from djtasks import AsyncResult, EagerResult, Signature, chain, group, shared_task, signature
from djtasks.domain import payloads
from djtasks.exceptions import NotRegistered
from djtasks.models import Message
from tests.tasks_api.samples import add, echo, fail, look, note

ADD = "tests.tasks_api.samples.add"


# How it is made


def test_signature_is_a_dict_of_what_celery_puts_into_it() -> None:
    """CANV-1."""
    expected = {
        "task": ADD,
        "args": (1,),
        "kwargs": {"y": 2},
        "options": {"queue": "slow"},
        "subtask_type": None,
        "immutable": False,
    }
    for made in (
        add.s(1, y=2).set(queue="slow"),
        add.signature((1,), {"y": 2}, {"queue": "slow"}),
        add.subtask((1,), {"y": 2}, queue="slow"),
        signature(ADD, args=(1,), kwargs={"y": 2}, options={"queue": "slow"}),
        signature(add, (1,), {"y": 2}, queue="slow"),
        Signature(add, (1,), {"y": 2}, queue="slow"),
        Signature(ADD, [1], {"y": 2}, {"queue": "slow"}),
        signature(expected),
    ):
        assert isinstance(made, Signature) and made == expected
        assert (made.task, made.name, made.args, made.kwargs) == (ADD, ADD, (1,), {"y": 2})
        assert (made.options, made.immutable, made.subtask_type, made.type) == ({"queue": "slow"}, False, None, add)


def test_immutable_signature_says_so() -> None:
    """CANV-1."""
    assert add.si(1, 2) == add.signature((1, 2), immutable=True) == add.s(1, 2).set(immutable=True)
    assert add.si(1, 2).immutable


def test_signature_of_a_signature_is_a_copy() -> None:
    """CANV-1."""
    one = add.s(1).set(queue="a")
    other = signature(one)
    other.set(queue="b").kwargs["y"] = 1
    assert one == add.s(1).set(queue="a")


def test_arguments_in_the_wrong_container_are_refused() -> None:
    """CANV-1."""
    for args, kwargs in (("ab", None), ({"x": 1}, None), (None, [1])):
        with pytest.raises(TypeError, match=r"(args|kwargs) of .* is a"):
            add.signature(args, kwargs)  # type: ignore[arg-type]


def test_what_is_none_is_refused() -> None:
    for wrong in (7, add, object(), {"args": ()}):
        with pytest.raises(TypeError, match=r"is no signature: task\.s"):
            add.s(1).link(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no signature"):
        group(add, add)


def test_signature_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="there is no signature of the type 'ring'"):
        signature({**add.s(1), "subtask_type": "ring"})


def test_type_of_a_name_that_is_not_known_is_an_error() -> None:
    with pytest.raises(NotRegistered):
        signature("elsewhere").type  # noqa: B018


# How it is merged


def test_arguments_of_a_call_go_before_and_options_of_a_call_win() -> None:
    """CANV-1."""
    partial = echo.s("own", a=1, b=1).set(queue="own", countdown=1)
    merged = partial.clone(("given",), {"b": 2}, countdown=2, priority=3)
    assert (merged.args, merged.kwargs) == (("given", "own"), {"a": 1, "b": 2})
    assert merged.options == {"queue": "own", "countdown": 2, "priority": 3}
    assert partial == echo.s("own", a=1, b=1).set(queue="own", countdown=1)
    assert partial.partial(("given",), {"b": 2}, countdown=2, priority=3) == merged


def test_immutable_signature_takes_options_alone() -> None:
    """CANV-1."""
    merged = echo.si("own", a=1).clone(("given",), {"b": 2}, countdown=2)
    assert (merged.args, merged.kwargs, merged.options) == (("own",), {"a": 1}, {"countdown": 2})


def test_group_and_stamps_once_set_are_kept() -> None:
    """CANV-1."""
    own = echo.s().set(group_id="a", stamped_headers=["mark"], mark=1)
    merged = own.clone(group_id="b", mark=2, stamped_headers=["mark", "other"], other=3)
    assert merged.options == {"group_id": "a", "stamped_headers": ["mark", "other"], "mark": 1, "other": 3}


def test_option_that_is_none_was_not_given_unless_it_clears_one() -> None:
    """CALL-5, CANV-1."""
    own = echo.s().set(queue="own", expires=5, time_limit=5)
    assert own.clone(queue=None, expires=None, time_limit=None).options == {
        "queue": "own",
        "expires": None,
        "time_limit": None,
    }


def test_links_of_a_call_are_added_to_its_own() -> None:
    """CANV-2."""
    own = add.s(1)
    own.link(note.s())
    assert own.clone(link=[echo.s(), note.s()]).options == {"link": [note.s(), echo.s()]}
    assert own.clone(link_error=fail.s()).options == {"link": [note.s()], "link_error": [fail.s()]}


def test_replaced_parts_are_not_merged() -> None:
    """CANV-1."""
    own = echo.s(1, a=1).set(queue="a")
    assert own.replace(args=(2,)) == echo.s(2, a=1).set(queue="a")
    assert own.replace(kwargs={}, options={}) == echo.s(1)
    assert own == echo.s(1, a=1).set(queue="a")


def test_copy_shares_no_links() -> None:
    """CANV-1."""
    own = add.s(1).on_error(note.s())
    own.link(echo.s())
    other = own.clone()
    other.options["link"][0].set(queue="other")
    other.link(note.s())
    other.options["link_error"][0].set(queue="other")
    assert own.options == {"link": [echo.s()], "link_error": [note.s()]}


# Links


def test_callback_is_added_once_and_returned() -> None:
    """CANV-2."""
    own, callback = add.s(1), note.s()
    assert own.link(callback) is callback
    assert own.link(note.s()) == callback
    own.link({**note.s(), "args": []})
    own.link(json.loads(json.dumps(note.s())))
    assert own.options["link"] == [callback]


def test_errback_is_added_once_and_returned_or_the_signature_is() -> None:
    """CANV-3."""
    own, errback = add.s(1), note.s()
    assert own.link_error(errback) is errback
    assert own.on_error(note.s()) is own
    assert own.options["link_error"] == [errback]


def test_links_are_flattened() -> None:
    """CANV-2."""
    one, two, three = add.s(1), add.s(2), add.s(3)
    two.link(three)
    one.link(two)
    assert one.flatten_links() == [one, two, three]
    assert all(isinstance(each, Signature) for each in signature(json.loads(json.dumps(one))).flatten_links())


# How it is shown


def test_repr_is_the_call() -> None:
    """CANV-1."""
    assert repr(add.s(2, y=[1])) == f"{ADD}(2, y=[1])"
    assert add.s(2).reprcall(1) == f"{ADD}(1, 2)"
    assert add.si(2).reprcall(1, y=3) == f"{ADD}(1, 2, y=3)"
    assert repr(signature("elsewhere.task", args=(1,))) == "elsewhere.task(1)"


def test_repr_masks_secrets() -> None:
    """S10."""
    by_name = shared_task(lambda user, password: None, name="by_name", sensitive=["password"])
    altogether = shared_task(lambda *args: None, name="altogether", sensitive=True)
    assert repr(by_name.s("me", "hunter2")) == "by_name('me', '********')"
    assert "hunter2" not in repr(altogether.s("hunter2") | altogether.s("hunter2"))
    assert "hunter2" not in repr(altogether.map(["hunter2"])) + repr(altogether.starmap([["hunter2"]]))


# JSON


def test_signature_travels_as_json() -> None:
    """CANV-1."""
    own = echo.s(1, [2], a={"b": None}).set(queue="slow", priority=3).on_error(note.s())
    own.link(add.si(1, 2))
    again = signature(json.loads(json.dumps(own)))
    assert again == own and type(again.options["link"][0]) is Signature
    assert again.__json__() == dict(own)


def test_signature_with_dates_travels_as_any_payload_does() -> None:
    """CANV-1."""
    when = datetime(2030, 1, 1, tzinfo=UTC)
    own = echo.s(when, Decimal("1.10"), since=timedelta(days=1)).set(eta=when)
    assert signature(payloads.decode(payloads.encode(own, where="signature"))) == own


def test_signature_can_be_copied_and_pickled() -> None:
    own = chain(echo.s(1), group(echo.s(2), echo.s(3)))
    for again in (copy.copy(own), copy.deepcopy(own), pickle.loads(pickle.dumps(own))):  # noqa: S301
        assert again == own and type(again) is chain


@pytest.mark.django_db
def test_signature_can_be_an_argument() -> None:
    """CANV-1."""
    sent = Message.objects.get(pk=echo.delay(add.s(1).set(queue="slow")).id)
    assert signature(sent.args[0]) == add.s(1).set(queue="slow")


# How it is sent


def test_called_signature_runs_the_body_here_and_now() -> None:
    """CANV-1, TASK-5."""
    assert add.s(1)(2) == 3
    assert look.s("called_directly", "id")() == {"called_directly": True, "id": None}


@pytest.mark.django_db
def test_sent_signature_has_its_options() -> None:
    """CANV-1."""
    result = (
        echo.s("own", a=1)
        .set(queue="slow", countdown=60, headers={"h": 1})
        .apply_async(("given",), {"b": 2}, priority=5)
    )
    message = Message.objects.get(pk=result.id)
    assert (message.args, message.kwargs) == (["given", "own"], {"a": 1, "b": 2})
    assert (message.queue, message.priority, message.options) == ("slow", 5, {"headers": {"h": 1}})
    assert message.due_at is not None and message.due_at > message.enqueued_at + timedelta(seconds=50)
    assert isinstance(result, AsyncResult) and echo.s(1).delay(2, c=3) != result


@pytest.mark.django_db
def test_arguments_are_checked_with_those_of_the_signature() -> None:
    """CALL-2, CANV-1."""
    with pytest.raises(TypeError, match="missing a required argument: 'y'"):
        add.s(1).delay()
    with pytest.raises(TypeError, match=r"args of .* is a list or tuple"):
        add.s(1).apply_async("2")
    with pytest.raises(TypeError, match="takes no option 'quueue'; did you mean 'queue'"):
        add.s(1, 2).set(quueue="slow").delay()
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_name_that_is_not_registered_is_sent_as_it_is() -> None:
    """CALL-7."""
    result = signature("elsewhere", args=(1,), queue="far").apply_async((0,))
    message = Message.objects.get(pk=result.id)
    assert (message.task, message.args, message.queue) == ("elsewhere", [0, 1], "far")


@pytest.mark.django_db
def test_own_apply_async_of_a_task_is_called() -> None:
    """CANV-1: a base class may change how its tasks are sent."""
    from djtasks import Task

    class Marked(Task):
        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> AsyncResult:
            return super().apply_async(args, kwargs, **{**options, "headers": {"marked": True}})

    marked = shared_task(lambda: None, name="marked", base=Marked)
    assert Message.objects.get(pk=marked.s().delay().id).options == {"headers": {"marked": True}}


def test_signature_runs_eagerly(eager: None) -> None:
    """MON-3."""
    for result in (add.s(1).apply((2,)), add.s(1).apply_async((2,)), add.s(1).delay(2)):
        assert isinstance(result, EagerResult) and result.get() == 3
    assert ~add.s(1, 2) == 3


def test_signature_is_sent_from_a_coroutine(eager: None) -> None:
    """CANV-1."""

    async def caller() -> list[Any]:
        return [await add.s(1).adelay(2), await chain(add.s(1), add.s(1)).aapply_async((1,))]

    assert [result.get() for result in asyncio.run(caller())] == [3, 3]


def test_id_is_known_once_it_is_frozen(eager: None) -> None:
    """CANV-1."""
    own = add.s(1)
    assert own.id is None
    result = own.freeze()
    assert own.id == result.id and own.freeze() == result == own.apply_async((2,))
    chosen = "018f4c1e-0000-7000-8000-000000000001"
    assert add.s(1).freeze(chosen).id == chosen and own.freeze(chosen) == result


@pytest.mark.django_db
def test_frozen_signature_is_sent_with_what_it_was_told() -> None:
    """CANV-1."""
    ids = [f"018f4c1e-0000-7000-8000-00000000000{each}" for each in range(4)]
    own = add.s(1, 2)
    own.freeze(ids[0], group_id=ids[1], root_id=ids[2], parent_id=ids[3])
    own.delay()
    message = Message.objects.get(pk=ids[0])
    assert [str(each) for each in (message.group, message.root, message.parent)] == ids[1:]
