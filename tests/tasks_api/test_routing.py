"""Where a message goes: call, task, first router, settings; and which queues there are (ROUTE)."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError

from djtasks import AsyncResult, Task, enqueue_many, send_task, shared_task
from djtasks.exceptions import ImproperlyConfigured, QueueNotFound
from djtasks.models import Message
from djtasks.tasks import checking, routing
from tests.helpers_inprocess import run_until_empty
from tests.tasks_api.samples import add, look, retry_until

pytestmark = pytest.mark.django_db


def queue_of(result: AsyncResult) -> str:
    return Message.objects.get(pk=result.id).queue


def sent_to(name: str, routes: Any, settings: Any) -> str:
    settings.DJTASKS = {"TASK_ROUTES": routes}
    return queue_of(send_task(name, (1,)))


# Routers


def by_tenant(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **more: Any) -> Any:
    return {"queue": f"tenant-{args[0]}", "priority": 5} if name.startswith("tenant.") else None


@pytest.mark.parametrize(
    ("routes", "name", "queue"),
    [
        (None, "feed.update", "default"),
        ({}, "feed.update", "default"),
        ({"feed.update": "feeds"}, "feed.update", "feeds"),
        ({"feed.update": "feeds"}, "feed.update_all", "default"),
        ({"feed.update": {"queue": "feeds"}}, "feed.update", "feeds"),
        ({"feed.*": "feeds"}, "feed.update.all", "feeds"),
        ({"feed.*": "feeds"}, "feeds.update", "default"),
        ({"*.mail": "mails"}, "shop.mail", "mails"),
        ({"*.mail": "mails"}, "shop.mailing", "default"),
        ({"a.*.z": "middle"}, "a.b.c.z", "middle"),
        ({"a.(b)*": "quoted"}, "a.(b)c", "quoted"),
        ({"*": "all"}, "anything", "all"),
        ({"feed.*": "glob", "feed.update": "exact"}, "feed.update", "exact"),
        ({"feed.*": "first", "*": "second"}, "feed.update", "first"),
        ({re.compile(r"(video|image)\."): "media"}, "image.crop", "media"),
        ({re.compile(r"(video|image)\."): "media"}, "my.image.crop", "default"),
        (by_tenant, "tenant.bill", "tenant-1"),
        (by_tenant, "feed.update", "default"),
        ([by_tenant, {"feed.*": "feeds"}], "feed.update", "feeds"),
        ([{"tenant.*": "first"}, by_tenant], "tenant.bill", "first"),
        ([[("feed.*", {"queue": "feeds"}), (re.compile("tenant"), "tenants")]], "tenant.bill", "tenants"),
        ("tests.tasks_api.test_routing.by_tenant", "tenant.bill", "tenant-1"),
        (["tests.tasks_api.test_routing.by_tenant", {"*": "rest"}], "feed.update", "rest"),
    ],
)
def test_first_router_that_knows_a_name_gives_the_queue(routes: Any, name: str, queue: str, settings: Any) -> None:
    """ROUTE-1."""
    assert sent_to(name, routes, settings) == queue


def test_router_is_called_as_celery_calls_it(settings: Any) -> None:
    """ROUTE-1."""
    calls: list[Any] = []

    def router(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **more: Any) -> None:
        calls.append((name, args, kwargs, options, task))

    settings.DJTASKS = {"TASK_ROUTES": router}
    add.apply_async((1,), {"y": 2}, countdown=5)
    send_task("elsewhere", [3])
    assert calls == [(add.name, (1,), {"y": 2}, {"countdown": 5}, add), ("elsewhere", (3,), {}, {}, None)]


def test_call_goes_before_task_and_task_before_route_and_route_before_settings(settings: Any) -> None:
    """ROUTE-1, CALL-5."""
    route = {"queue": "by-route", "priority": 3, "expires": 60, "time_limit": 7, "acks_late": True}
    settings.DJTASKS = {"TASK_ROUTES": {"*": route}, "TASK_DEFAULT_QUEUE": "by-settings"}
    own: dict[str, Any] = {"queue": "by-task", "priority": 2, "expires": None, "time_limit": None}
    silent, loud = shared_task(lambda: None, name="silent"), shared_task(lambda: None, name="loud", **own)
    call: dict[str, Any] = {"queue": "by-call", "priority": 1, "expires": None, "time_limit": None, "acks_late": False}
    routed, kept, said, empty = (
        Message.objects.get(pk=result.id)
        for result in (
            silent.delay(),
            loud.delay(),
            loud.apply_async(**call),
            silent.apply_async(queue=None, priority=None, acks_late=None),
        )
    )
    assert (routed.queue, routed.priority, routed.acks_late) == ("by-route", 3, True)
    assert routed.expires_at is not None and routed.options == {"time_limit": 7}
    assert (kept.queue, kept.priority, kept.options) == ("by-task", 2, {})
    assert (said.queue, said.priority, said.acks_late, said.expires_at) == ("by-call", 1, False, None)
    assert said.options == {"time_limit": None}
    assert (empty.queue, empty.priority, empty.acks_late) == ("by-route", 3, True)


def test_base_class_speaks_for_its_tasks_before_any_route(settings: Any) -> None:
    """ROUTE-1."""

    class Slow(Task):
        queue = "slow"

    settings.DJTASKS = {"TASK_ROUTES": {"*": "by-route"}}
    assert queue_of(shared_task(lambda: None, name="slow", base=Slow).delay()) == "slow"


def test_every_way_of_sending_is_routed(settings: Any) -> None:
    """ROUTE-1."""
    settings.DJTASKS = {"TASK_ROUTES": {add.name: "sums"}}
    sent = [
        add.delay(1, 2),
        add.apply_async((1, 2)),
        add.delay_on_commit(1, 2),
        send_task(add.name, (1, 2)),
        *enqueue_many([(add, (1, 2)), (add, (1, 2), None, {"priority": 5})]),
    ]
    assert [queue_of(result) for result in sent] == ["sums"] * 6


def test_route_by_arguments_is_asked_for_each_of_many(settings: Any) -> None:
    """ROUTE-1."""
    settings.DJTASKS = {"TASK_ROUTES": [lambda name, args, kwargs, options, **more: {"queue": f"q{args[0]}"}]}
    assert [queue_of(result) for result in enqueue_many([(add, (1, 2)), (add, (3, 4))])] == ["q1", "q3"]


def test_eager_run_sees_where_it_would_have_gone(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ROUTES": {"*": "by-route"}, "TASK_ALWAYS_EAGER": True}
    assert look.delay("queue").get() == {"queue": "by-route"}


@pytest.mark.django_db(transaction=True)
def test_retry_keeps_the_queue_whatever_the_routes_say_by_then(settings: Any) -> None:
    """RETRY-2."""
    settings.DJTASKS = {"TASK_ROUTES": {"*": "before"}}
    result = retry_until.delay(1)
    settings.DJTASKS = {"TASK_ROUTES": {"*": "after"}}
    run_until_empty()
    assert (result.get(), result.queue) == (1, "before")


def test_routes_are_read_once(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ROUTES": {"feed.*": "feeds"}}
    read = routing.routers()
    send_task("feed.update")
    assert routing.routers() is read
    settings.DJTASKS = {"TASK_ROUTES": {"feed.*": "others"}}
    assert queue_of(send_task("feed.update")) == "others"


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ("feeds", "no dotted path to a router"),
        (7, "expected a dict of routes"),
        ({7: "feeds"}, "name of a task or a compiled pattern"),
        ({"feed.*": 7}, "is a queue or a dict of options"),
        ({"feed.*": "two words"}, "is no name for a queue"),
        (
            {"feed.*": {"queue": "x", "exchange": "y"}},
            r"the route of 'feed\.\*' takes no option 'exchange': there are no",
        ),
        ({"feed.*": {"routing_key": "feed"}}, "there are no routing keys; name the queue"),
        ({"feed.*": {"qeue": "feeds"}}, "did you mean 'queue'"),
        ({"feed.*": {"queue": "x", "priority": 101}}, "between -100 and 100"),
        ([["feed.*"]], "pairs of a name and its route"),
    ],
)
def test_wrong_routes_are_refused_with_the_fix(routes: Any, said: str, settings: Any) -> None:
    settings.DJTASKS = {"TASK_ROUTES": routes}
    with pytest.raises(ImproperlyConfigured, match=rf"DJTASKS\['TASK_ROUTES'\] = .*{said}"):
        add.delay(1, 2)


@pytest.mark.parametrize(
    ("route", "said"), [(7, "is a queue or a dict"), ({"exchange": "x"}, "there are no exchanges")]
)
def test_wrong_answer_of_a_router_is_refused(route: Any, said: str, settings: Any) -> None:
    settings.DJTASKS = {"TASK_ROUTES": lambda *facts, **more: route}
    with pytest.raises(TypeError, match=said):
        add.delay(1, 2)
    assert not Message.objects.exists()


# Which queues there are


CLOSED = {"TASK_CREATE_MISSING_QUEUES": False, "TASK_QUEUES": ["mail", "reports"]}


@pytest.mark.parametrize("queue", ["mail", "reports", "default", None])
def test_known_queue_is_sent_to(queue: str | None, settings: Any) -> None:
    """ROUTE-2."""
    settings.DJTASKS = CLOSED
    assert queue_of(add.apply_async((1, 2), queue=queue)) == queue or "default"


def test_unknown_queue_is_refused_at_send_with_the_nearest_one(settings: Any) -> None:
    """ROUTE-2."""
    settings.DJTASKS = {**CLOSED, "TASK_ROUTES": {"routed": "male"}}
    lost = shared_task(lambda: None, name="lost", queue="nowhere")
    for send, said in (
        (lambda: add.apply_async((1, 2), queue="mails"), "no queue 'mails'.*did you mean 'mail'"),
        (lambda: send_task("x", queue="mails"), "did you mean 'mail'"),
        (lambda: send_task("routed"), "no queue 'male'"),
        (lambda: lost.delay(), "no queue 'nowhere'.*it names default, mail, reports"),
        (lambda: enqueue_many([(add, (1, 2)), (add, (1, 2), None, {"queue": "x"})]), "no queue 'x'"),
    ):
        with pytest.raises(QueueNotFound, match=said):
            send()
    assert not Message.objects.exists()


@pytest.mark.parametrize(("arguments", "given"), [(["-Q", "mail,mial"], {}), ([], {"WORKER_QUEUES": ["mial"]})])
def test_worker_does_not_start_for_an_unknown_queue(arguments: list[str], given: Any, settings: Any) -> None:
    """ROUTE-2."""
    settings.DJTASKS = {**CLOSED, **given}
    with pytest.raises(CommandError, match=r"no queue 'mial'.*did you mean 'mail'"):
        call_command("runworker", "--burst", *arguments)


@pytest.mark.django_db(transaction=True)
def test_retry_in_an_unknown_queue_is_an_error_of_the_body(settings: Any) -> None:
    """ROUTE-2."""
    settings.DJTASKS = CLOSED
    result = retry_until.delay(1, queue="mial")
    run_until_empty()
    with pytest.raises(QueueNotFound, match="did you mean 'mail'"):
        result.get()


def test_any_queue_may_be_sent_to_unless_the_settings_say_otherwise(settings: Any) -> None:
    """ROUTE-2."""
    settings.DJTASKS = {"TASK_QUEUES": ["mail"]}
    assert queue_of(add.apply_async((1, 2), queue="other")) == "other"


# Priority


@shared_task(bind=True)
def send_children(self: Task) -> list[int]:
    own = shared_task(lambda: None, name="own", priority=1)
    results = [add.delay(1, 2), add.apply_async((1, 2), priority=2), own.delay(), send_task("elsewhere")]
    return [Message.objects.get(pk=result.id).priority for result in results]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("inherits", "priorities"), [(True, [7, 2, 1, 7]), (False, [0, 2, 1, 0])])
def test_child_has_the_priority_of_its_parent_where_the_settings_say_so(
    inherits: bool, priorities: list[int], settings: Any
) -> None:
    """ROUTE-4."""
    settings.DJTASKS = {"TASK_INHERIT_PARENT_PRIORITY": inherits, "UNKNOWN_TASK_GRACE": 0}
    result = send_children.apply_async(priority=7)
    run_until_empty()
    assert result.get() == priorities


def test_route_goes_before_the_priority_of_the_parent(settings: Any) -> None:
    """ROUTE-4."""
    settings.DJTASKS = {"TASK_INHERIT_PARENT_PRIORITY": True, "TASK_ROUTES": {add.name: {"priority": 4}}}
    assert send_children.apply(priority=7).get() == [4, 2, 1, 7]


# System checks


def ids(messages: list[CheckMessage]) -> list[str]:
    assert all(message.hint for message in messages)
    return [str(message.id) for message in messages]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tests.nowhere.router", "No module named 'tests.nowhere'"),
        ("tests.tasks_api.test_routing.nobody", "has no attribute 'nobody'"),
        ("tests.tasks_api.test_routing.CLOSED", "which is no function"),
    ],
)
def test_router_that_is_not_there_is_found_by_the_checks_and_by_the_call(path: str, said: str, settings: Any) -> None:
    settings.DJTASKS = {"TASK_ROUTES": path}
    (message,) = checking.check_routes()
    assert ids([message]) == ["djtasks.E012"] and said in message.msg
    with pytest.raises(ImproperlyConfigured, match=said):
        add.delay(1, 2)


def test_tasks_and_routes_for_unknown_queues_are_found_by_the_checks(settings: Any) -> None:
    """ROUTE-2."""
    settings.DJTASKS = {**CLOSED, "TASK_ROUTES": {"a": "mail", "b.*": "mial", re.compile("c"): {"queue": "sea"}}}
    shared_task(lambda: None, name="lost", queue="nowhere")
    found = [message.msg for message in checking.check_queues() if "sample" not in message.msg]
    assert len([text for text in found if "'nowhere'" in text and "The task 'lost'" in text]) == 1
    assert len([text for text in found if "The route of 'b.*'" in text and "did you mean 'mail'" in text]) == 1
    assert len([text for text in found if "The route of 'c'" in text]) == 1
    assert set(ids(checking.check_queues())) == {"djtasks.E013"}


@pytest.mark.parametrize("given", [{}, {"TASK_ROUTES": {"*": "x"}}, {"NO_SUCH": 1}])
def test_checks_have_nothing_to_say_where_nothing_is_wrong_or_all_is(given: Any, settings: Any) -> None:
    settings.DJTASKS = given
    assert checking.check_routes() == checking.check_queues() == checking.check_annotations() == []


def test_router_is_looked_for_when_it_is_needed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read before the modules of the apps can be imported."""
    settings.DJTASKS = {"TASK_ROUTES": "made_later.router"}
    module = ModuleType("made_later")
    module.router = lambda *facts, **more: "late"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_later", module)
    assert queue_of(add.delay(1, 2)) == "late"


def test_worker_that_would_begin_with_wrong_routes_does_not(settings: Any) -> None:
    """WORK-14."""
    settings.DJTASKS = {"TASK_ROUTES": "tests.nowhere.router"}
    with pytest.raises(SystemCheckError, match=r"djtasks\.E012"):
        call_command("runworker", "--burst", skip_checks=False)
