"""From a call to its row: options merged, arguments checked and encoded, one INSERT (CALL)."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from djtasks import AsyncResult, EagerResult, Task, enqueue_many, send_task, shared_task
from djtasks.broker.vendors import shared_vendor
from djtasks.exceptions import AlreadyEnqueued, EncodeError
from djtasks.models import Message, Result
from tests.broker.locks import locked_until_refused
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, echo, note

pytestmark = pytest.mark.django_db
ID = "018f4c1e-0000-7000-8000-000000000001"


def sent(result: AsyncResult) -> Message:
    return Message.objects.get(pk=result.id)


# The call


def test_delay_is_apply_async() -> None:
    """CALL-1."""
    one, other = sent(add.delay(1, y=2)), sent(add.apply_async((1,), {"y": 2}))
    assert (one.task, one.args, one.kwargs) == (other.task, other.args, other.kwargs) == (add.name, [1], {"y": 2})


def test_handle_has_the_id_of_the_row_as_text() -> None:
    """CALL-1."""
    result = add.delay(1, 2)
    assert isinstance(result, AsyncResult) and isinstance(result.id, str)
    assert uuid.UUID(result.id) == Message.objects.get().pk


def test_message_is_one_statement() -> None:
    with CaptureQueriesContext(connection) as queries:
        add.delay(1, 2)
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 1
    assert all(query["sql"].split()[0] in ("INSERT", "WITH", "SAVEPOINT", "RELEASE") for query in queries)


def test_arguments_may_be_any_sequence_and_mapping() -> None:
    message = sent(echo.apply_async(range(3), MappingProxyType({"y": 2})))
    assert (message.args, message.kwargs) == ([0, 1, 2], {"y": 2})


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ("abc", None, "args of .* is a list or tuple of arguments, not str"),
        ({"x": 1}, None, "args of .* is a list or tuple of arguments, not dict"),
        (7, None, "args of .* is a list or tuple of arguments, not int"),
        (None, [1], "kwargs of .* is a dict of arguments, not list"),
    ],
)
def test_arguments_in_the_wrong_container_are_refused(args: Any, kwargs: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        echo.apply_async(args, kwargs)


# What the body takes


def plain(x: Any, y: Any) -> None: ...
def with_default(x: Any, y: Any = 1) -> None: ...
def keyword_only(x: Any, *, y: Any) -> None: ...
def keyword_default(x: Any, *, y: Any = 1) -> None: ...
def positional_only(x: Any, /, y: Any = 1) -> None: ...
def gathers(*args: Any, **kwargs: Any) -> None: ...
def gathers_more(x: Any, *args: Any) -> None: ...
async def asynchronous(x: Any, y: Any) -> None: ...


@functools.wraps(plain)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


FITTING = [
    (plain, (1, 2), {}),
    (plain, (1,), {"y": 2}),
    (plain, (), {"x": 1, "y": 2}),
    (with_default, (1,), {}),
    (with_default, (1, 2), {}),
    (keyword_only, (1,), {"y": 2}),
    (keyword_default, (1,), {}),
    (positional_only, (1,), {"y": 2}),
    (gathers, (1, 2, 3), {"z": 4}),
    (gathers_more, (1, 2, 3), {}),
    (asynchronous, (1, 2), {}),
    (wrapped, (1, 2), {}),
    (functools.partial(plain, 1), (2,), {}),
    (functools.partial(plain, y=1), (2,), {}),
]
WRONG = [
    (plain, (1,), {}, "missing a required argument: 'y'"),
    (plain, (1, 2, 3), {}, "too many positional arguments"),
    (plain, (1, 2), {"y": 3}, "multiple values for argument 'y'"),
    (plain, (1, 2), {"z": 3}, "unexpected keyword argument 'z'"),
    (with_default, (), {}, "missing a required argument: 'x'"),
    (keyword_only, (1,), {}, "missing a required.* argument: 'y'"),
    (keyword_only, (1, 2), {}, "too many positional arguments"),
    (positional_only, (), {"x": 1}, "'x'"),
    (gathers_more, (), {}, "missing a required argument: 'x'"),
    (asynchronous, (1,), {}, "missing a required argument: 'y'"),
    (wrapped, (), {}, "missing a required argument: 'x'"),
    (functools.partial(plain, 1), (2, 3), {}, "too many positional arguments"),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), FITTING)
def test_fitting_arguments_are_accepted(function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """CALL-2."""
    sent(shared_task(function, name="fitting").apply_async(args, kwargs))


@pytest.mark.parametrize(("function", "args", "kwargs", "said"), WRONG)
def test_wrong_arguments_are_refused_in_the_caller(
    function: Callable[..., Any], args: Any, kwargs: Any, said: str
) -> None:
    """CALL-2."""
    task = shared_task(function, name="wrong")
    with pytest.raises(TypeError, match=rf"wrong\(\) cannot be called like this: .*{said}"):
        task.apply_async(args, kwargs)
    assert not Message.objects.exists()


def test_self_of_a_bound_task_does_not_count() -> None:
    """CALL-2."""

    @shared_task(bind=True)
    def body(self: Task, x: Any, y: Any) -> None: ...

    body.delay(1, 2)
    with pytest.raises(TypeError, match="too many positional arguments"):
        body.delay("self", 1, 2)
    with pytest.raises(TypeError, match="missing a required argument: 'y'"):
        body.delay(1)


def test_arguments_are_not_checked_without_typing() -> None:
    """CALL-2."""
    task = shared_task(plain, typing=False)
    assert sent(task.delay(1, 2, 3)).args == [1, 2, 3]


# Options


@pytest.mark.parametrize(
    "name",
    [
        "exchange",
        "routing_key",
        "serializer",
        "compression",
        "connection",
        "producer",
        "publisher",
        "retry",
        "retry_policy",
        "delivery_mode",
        "mandatory",
        "immediate",
        "reply_to",
        "backend",
        "app",
    ],
)
def test_option_of_a_broker_is_refused_with_what_to_do_instead(name: str) -> None:
    with pytest.raises(
        TypeError, match=rf"add\.apply_async takes no option '{name}': .*(leave it out|queue=|AsyncResult)"
    ):
        add.apply_async((1, 2), **{name: None})


@pytest.mark.parametrize(
    ("name", "nearest"), [("countdwn", "countdown"), ("expire", "expires"), ("taskid", "task_id"), ("prio", "priority")]
)
def test_unknown_option_is_refused_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(TypeError, match=f"takes no option '{name}'; did you mean '{nearest}'"):
        add.apply_async((1, 2), **{name: 1})


def test_unknown_option_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(TypeError, match=r"takes no option 'zzz'; it takes acks_late, .*countdown, eta, "):
        add.apply_async((1, 2), zzz=1)


def test_call_goes_before_task_and_task_before_settings(settings: Any) -> None:
    """CALL-5, ROUTE-1."""
    settings.DJTASKS = {"TASK_DEFAULT_QUEUE": "by-settings", "TASK_DEFAULT_PRIORITY": 1}
    silent, loud = shared_task(gathers, name="silent"), shared_task(gathers, name="loud", queue="by-task", priority=2)
    messages = [
        sent(each)
        for each in (silent.delay(), loud.delay(), loud.apply_async(queue="by-call", priority=0), send_task("loud"))
    ]
    assert [(message.queue, message.priority) for message in messages] == [
        ("by-settings", 1),
        ("by-task", 2),
        ("by-call", 0),
        ("by-task", 2),
    ]


@pytest.mark.parametrize("queue", ["mail", "a", "tenant:7@eu-1_x.y", "q" * 128])
def test_good_name_for_a_queue_is_accepted(queue: str) -> None:
    """E5."""
    assert sent(add.apply_async((1, 2), queue=queue)).queue == queue


@pytest.mark.parametrize(
    "queue", ["", "two words", "-x", "ü", "q" * 129, '"; DROP TABLE djtasks_message --', 7, b"mail"]
)
def test_bad_name_for_a_queue_is_refused(queue: Any) -> None:
    """E5, S12."""
    with pytest.raises(ValueError, match="is no name for a queue: up to 128 ASCII letters"):
        add.apply_async((1, 2), queue=queue)
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("priority", "error"), [(-101, ValueError), (101, ValueError), ("9", TypeError), (True, TypeError)]
)
def test_priority_out_of_range_is_refused(priority: Any, error: type[Exception]) -> None:
    """ROUTE-4."""
    with pytest.raises(error, match="a priority"):
        add.apply_async((1, 2), priority=priority)


def test_headers_of_the_call_are_laid_over_those_of_the_task() -> None:
    task = shared_task(gathers, headers={"tenant": 1, "trace": "a"})
    assert sent(task.apply_async(headers={"trace": "b"})).options == {"headers": {"tenant": 1, "trace": "b"}}


@pytest.mark.parametrize(
    ("headers", "said"), [(["trace"], "headers is a dict"), ({"trace": object()}, "headers.*pass plain data")]
)
def test_headers_that_cannot_be_kept_are_refused(headers: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        add.apply_async((1, 2), headers=headers)


def test_only_what_differs_from_the_task_is_kept_with_the_message() -> None:
    assert sent(add.delay(1, 2)).options == {}
    options = sent(add.apply_async((1, 2), ignore_result=True, shadow="sum", headers={})).options
    assert options == {"ignore_result": True, "shadow": "sum"}


@pytest.mark.django_db(transaction=True)
def test_shadow_is_shown_and_changes_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """CALL-11."""
    result = add.apply_async((1, 2), shadow="the monthly sum")
    with caplog.at_level("INFO", logger="djtasks.task"):
        run_until_empty()
    assert (result.get(), result.name) == (3, add.name)
    assert f"the monthly sum[{result.id}] succeeded" in caplog.text


# Moments


def due_in(message: Message) -> timedelta:
    assert message.due_at is not None
    return message.due_at - message.enqueued_at


@pytest.mark.parametrize(
    ("countdown", "seconds"), [(None, 0), (0, 0), (-5, 0), (90, 90), (0.5, 0.5), (timedelta(minutes=2), 120)]
)
def test_countdown_counts_from_now(countdown: Any, seconds: float) -> None:
    """CALL-3."""
    assert due_in(sent(add.apply_async((1, 2), countdown=countdown))) == timedelta(seconds=seconds)


@pytest.mark.parametrize("eta", [datetime(2040, 2, 29, 12, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC)])
def test_eta_is_a_moment(eta: datetime) -> None:
    assert sent(add.apply_async((1, 2), eta=eta)).due_at == eta


def test_countdown_and_eta_together_are_refused() -> None:
    """CALL-3."""
    with pytest.raises(ValueError, match=r"countdown and eta .* give one of them"):
        add.apply_async((1, 2), countdown=5, eta=timezone.now())


@pytest.mark.parametrize("option", ["eta", "expires"])
def test_naive_moment_is_refused_where_time_zones_are_used(option: str) -> None:
    with pytest.raises(ValueError, match=rf"{option} .* is naive, .* give it a time zone"):
        add.apply_async((1, 2), **{option: datetime(2040, 1, 1)})


def test_naive_moment_is_local_time_where_no_time_zones_are_used(settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"
    message = sent(add.apply_async((1, 2), eta=datetime(2040, 1, 1, 12), expires=datetime(2040, 1, 1, 13)))
    assert (message.due_at, message.expires_at) == (datetime(2040, 1, 1, 12), datetime(2040, 1, 1, 13))


def test_aware_moment_is_understood_where_no_time_zones_are_used(settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"
    message = sent(add.apply_async((1, 2), eta=datetime(2040, 1, 1, 17, tzinfo=UTC)))
    assert message.due_at == datetime(2040, 1, 1, 12)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"countdown": "5"}, TypeError, "countdown is a number of seconds or a timedelta, not '5'"),
        ({"countdown": float("nan")}, ValueError, "countdown of nan seconds"),
        ({"countdown": 1e12}, ValueError, "beyond a hundred years"),
        ({"eta": "2040-01-01"}, TypeError, "eta is a datetime"),
        ({"eta": 60}, TypeError, "eta is a datetime"),
        ({"eta": datetime(9999, 1, 1, tzinfo=UTC)}, ValueError, "out of range"),
        ({"eta": datetime(1969, 1, 1, tzinfo=UTC)}, ValueError, "out of range"),
        ({"expires": "1h"}, TypeError, "expires is a number of seconds or a timedelta"),
        ({"expires": True}, TypeError, "expires is a number of seconds or a timedelta"),
    ],
)
def test_moment_that_cannot_be_meant_is_refused(options: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        add.apply_async((1, 2), **options)


@pytest.mark.parametrize("expires", [60, 60.0, timedelta(minutes=1)])
def test_expiry_counts_from_now(expires: Any) -> None:
    """CALL-4."""
    message = sent(add.apply_async((1, 2), expires=expires))
    assert message.expires_at == message.enqueued_at + timedelta(minutes=1)


def test_expiry_may_be_a_moment_even_a_past_one() -> None:
    """CALL-4."""
    past = datetime(2001, 1, 1, tzinfo=UTC)
    assert sent(add.apply_async((1, 2), expires=past)).expires_at == past


def test_none_clears_the_expiry_of_the_task() -> None:
    """CALL-5."""
    task = shared_task(gathers, name="expiring", expires=60)
    given, cleared, by_name = task.delay(), task.apply_async(expires=None), send_task("expiring", expires=None)
    assert sent(given).expires_at is not None
    assert sent(cleared).expires_at is sent(by_name).expires_at is None


# The id


@pytest.mark.parametrize("given", [ID, uuid.UUID(ID), ID.upper(), ID.replace("-", "")])
def test_caller_may_choose_the_id(given: Any) -> None:
    """CALL-9."""
    assert add.apply_async((1, 2), task_id=given).id == str(Message.objects.get().pk) == ID


@pytest.mark.parametrize("given", ["daily-report", 7, "x" * 500])
def test_id_that_is_no_uuid_is_refused_with_the_way_to_get_one(given: Any) -> None:
    with pytest.raises(ValueError, match=r"a task id is a UUID, not .*uuid\.uuid5\("):
        add.apply_async((1, 2), task_id=given)


@pytest.mark.parametrize("send", [add.apply_async, lambda args, **options: send_task(add.name, args, **options)])
def test_second_message_of_an_id_is_refused_and_harms_no_transaction(send: Callable[..., AsyncResult]) -> None:
    """CALL-9."""
    with transaction.atomic():
        send((1, 2), task_id=ID)
        with pytest.raises(AlreadyEnqueued, match=f"{ID}; see exist_ok=True"):
            send((3, 4), task_id=ID)
        send((5, 6))
    assert sorted(message.args for message in Message.objects.all()) == [[1, 2], [5, 6]]


@pytest.mark.parametrize("send", [add.apply_async, lambda args, **options: send_task(add.name, args, **options)])
def test_handle_of_the_known_message_is_returned_where_that_is_expected(send: Callable[..., AsyncResult]) -> None:
    """CALL-9."""
    first, second = send((1, 2), task_id=ID), send((3, 4), task_id=ID, exist_ok=True)
    assert first == second and sent(second).args == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_call_and_forgetting_that_were_undone_for_others_are_done_again() -> None:
    """C22"""
    with locked_until_refused(shared_vendor()) as refused:
        called = add.apply_async((1, 2), task_id=ID)
    assert refused and sent(called).args == [1, 2]
    run_until_empty()
    with locked_until_refused(shared_vendor()) as refused:
        called.forget()
    assert refused and not Result.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_id_of_an_ended_task_is_known_too() -> None:
    """CALL-9."""
    add.apply_async((1, 2), task_id=ID)
    run_until_empty()
    with pytest.raises(AlreadyEnqueued, match=f"{ID} has ended already"):
        add.apply_async((3, 4), task_id=ID)
    assert add.apply_async((3, 4), task_id=ID, exist_ok=True).get() == 3
    assert not Message.objects.exists()


# By name


def test_name_need_not_be_registered_here() -> None:
    """CALL-7."""
    message = sent(send_task("elsewhere.tidy", [1], {"deep": True}, queue="far", countdown=60))
    assert (message.task, message.args, message.kwargs, message.queue) == ("elsewhere.tidy", [1], {"deep": True}, "far")
    assert message.acks_late is None


def test_registered_name_has_the_options_of_its_task() -> None:
    """CALL-7."""
    shared_task(gathers, name="late", acks_late=True, priority=3, expires=60)
    message = sent(send_task("late"))
    assert message.acks_late is True and message.priority == 3 and message.expires_at is not None


@pytest.mark.parametrize("name", ["", " x", "x" * 256, "a\nb", None])
def test_bad_name_for_a_task_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is no name for a task"):
        send_task(name)


def test_name_is_sent_even_where_everything_is_eager(eager: None) -> None:
    """CALL-7."""
    with pytest.warns(UserWarning, match="no effect on send_task"):
        sent(send_task(add.name, (1, 2)))


# Payloads


class Money: ...


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a\0b", r"NUL"),
        ("\ud800", r"surrogate"),
        (float("nan"), r"nan"),
        (float("inf"), r"inf"),
        (10**4400, r"digits"),
        (object(), r"is of type builtins.object, which JSON cannot hold; pass plain data"),
        (Money(), r"is of type .*Money"),
        ({7: "x"}, r"use str keys"),
        (lambda: 1, r"function"),
        (Message(task="x"), r"is a model instance \(Message\); pass its primary key"),
    ],
    ids=["NUL", "surrogate", "nan", "inf", "digits", "object", "instance", "key", "function", "model"],
)
def test_value_that_cannot_be_stored_is_refused_with_its_path_and_the_fix(value: Any, said: str) -> None:
    """E1, E2, E6."""
    with pytest.raises(EncodeError, match=rf"args\[1\]\.deep\[0\].*{said}"):
        echo.delay(1, {"deep": [value]})
    with pytest.raises(EncodeError, match=rf"kwargs\.of\.deep.*{said}"):
        echo.delay(of={"deep": value})
    assert not Message.objects.exists()


def test_deep_payload_is_refused() -> None:
    """E3."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(EncodeError, match="nested deeper than 100 levels; flatten it"):
        echo.delay(deep)


def test_large_payload_is_refused(settings: Any) -> None:
    """E4."""
    settings.DJTASKS = {"MAX_PAYLOAD_BYTES": 1000}
    with pytest.raises(EncodeError, match=r"args takes 1,0\d\d bytes"):
        echo.delay("x" * 1000)
    echo.delay("x" * 900)


@pytest.mark.django_db(transaction=True)
def test_values_come_out_as_they_went_in() -> None:
    """E6."""
    values = [
        *(None, True, 2**53 + 1, -(10**30), 1.0, 0.1, "ü\n\u2028", [], {}, {"$date": "mine"}),
        *(Decimal("1.10"), uuid.UUID(ID), b"\x00\xff", {1, 2}, frozenset({"a"}), timedelta(days=-1, microseconds=1)),
        *(datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31).date(), datetime(2026, 1, 31, 12, 30).time()),
    ]
    result = echo.delay(*values, each=values)
    run_until_empty()
    assert result.get() == [values, {"each": values}]
    assert [type(value) for value in result.args] == [type(value) for value in values]


# Many at once


def test_many_messages_are_one_statement_and_keep_their_order() -> None:
    calls = [(add, (n, n), {}) for n in range(30)]
    with CaptureQueriesContext(connection) as queries:
        results = enqueue_many(calls)
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 1
    assert [sent(result).args for result in results] == [[n, n] for n in range(30)]
    assert [result.id for result in results] == sorted(result.id for result in results)


def test_neighbours_among_many_share_no_more_than_is_the_same() -> None:
    """One that differs from the one before in its arguments alone is made from it: it must not show."""
    mail, again = {"queue": "mail", "headers": {"a": 1}}, {"queue": "mail", "headers": {"a": 1}}
    calls: list[Any] = [
        (add, (1, 2)),
        (add, (3,), {"y": 4}),
        (add, (5, 6), {}, mail),
        (add, (7, 8), {}, again),
        (note, (9,), {}, again),
        (add, (1, 1), {}, {**mail, "headers": {"a": 2}}),
        (add, (2, 2)),
    ]
    messages = [sent(result) for result in enqueue_many(calls)]
    alone = [sent(call[0].apply_async(*call[1:3], **(call[3] if len(call) > 3 else {}))) for call in calls]
    for one, other in zip(messages, alone, strict=True):
        facts = [(each.task, each.args, each.kwargs, each.queue, each.options) for each in (one, other)]
        assert facts[0] == facts[1]
    assert len({message.pk for message in messages}) == len(calls)


def test_each_of_many_is_checked_by_itself() -> None:
    for wrong, error in ((({"x": object()}, 1), EncodeError), ((1, 2, 3), TypeError)):
        with pytest.raises(error):
            enqueue_many([(add, (1, 2)), (add, wrong)])
    assert not Message.objects.exists()


def test_call_may_leave_out_what_it_does_not_need_and_have_options() -> None:
    calls = [(note, [1]), [add, None, {"x": 1, "y": 2}], (echo,), (add, (1, 2), None, {"queue": "far", "priority": 7})]
    messages = [sent(result) for result in enqueue_many(calls)]
    assert [message.args for message in messages] == [[1], [], [], [1, 2]]
    assert (messages[3].queue, messages[3].priority) == ("far", 7)


def test_no_calls_make_no_messages() -> None:
    assert enqueue_many([]) == []


@pytest.mark.parametrize("call", [add, (), ("add", (1, 2)), (add, (1, 2), {}, {}, {}), {"task": add}, None])
def test_what_is_no_call_is_refused_with_its_place(call: Any) -> None:
    with pytest.raises(TypeError, match=r"call 1 is not \(task, args, kwargs\[, options\]\)"):
        enqueue_many([(add, (1, 2)), call])
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ((add, (1,)), TypeError),
        ((echo, (object(),)), EncodeError),
        ((echo, (), {}, {"queue": "two words"}), ValueError),
        ((echo, (), {}, {"exist_ok": True, "task_id": ID}), TypeError),
        ((echo, (), {}, {"zzz": True}), TypeError),
    ],
)
def test_one_wrong_call_keeps_all_back(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        enqueue_many([(add, (1, 2)), call])
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_known_id_keeps_all_back() -> None:
    """CALL-9."""
    add.apply_async((1, 2), task_id=ID)
    for _ in ("while it lives", "when it has ended"):
        with pytest.raises(AlreadyEnqueued, match=ID):
            enqueue_many([(add, (3, 4)), (add, (5, 6), {}, {"task_id": ID})])
        run_until_empty()
    assert not Message.objects.exists()


def test_many_run_at_once_where_everything_is_eager(eager: None) -> None:
    """MON-3."""
    results = enqueue_many([(add, (1, 2)), (add, (3, 4))])
    assert [result.get() for result in results] == [3, 7]
    assert all(isinstance(result, EagerResult) for result in results)
