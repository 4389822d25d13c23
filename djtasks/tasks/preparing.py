"""From a call to the message that it makes: options are merged, arguments checked and encoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings as django_settings
from django.utils import timezone

from djtasks import signals
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.identifiers import canonical, check_priority, check_queue_name, new_id
from djtasks.domain.messages import NewMessage
from djtasks.domain.options import (
    CALL_OPTIONS,
    check_headers,
    check_limits,
    check_names,
    check_representation,
    check_values,
    epoch_of,
    seconds_of,
)
from djtasks.tasks import registry, routing, stamping
from djtasks.tasks.context import current_run
from djtasks.tasks.results.result import AsyncResult
from djtasks.tasks.validation import dumped

if TYPE_CHECKING:
    from djtasks.tasks.results.nodes import Node
    from djtasks.tasks.task import Task

Args = Sequence[Any] | None
Kwargs = Mapping[str, Any] | None
Options = Mapping[str, Any]
PlainCall = tuple[str, Args, Kwargs, Options]


class Part(NamedTuple):
    """What a message is made for: whether it is sent, how many arguments others hand over, what is kept with it."""

    sends: bool = True
    handed: int = 0
    kept: Options = {}


ALONE = Part()
UNSENT = Part(sends=False)


def prepare(
    name: str, task: Task | None, args: Args, kwargs: Kwargs, options: Options, part: Part = ALONE
) -> NewMessage:
    """Make the message of a call: options of the call over the task's over the settings' (CALL-5)."""
    if "stamped_headers" in options:
        options = stamping.unpacked(options)
    check_names(options, CALL_OPTIONS, f"{name}.apply_async")
    args, kwargs = _arguments(name, task, args, kwargs, part.handed)
    if settings.TASK_ROUTES:
        options = routing.routed(name, task, args, kwargs, options)
    queue = routing.check_known(check_queue_name(_option(options, task, "queue", settings.TASK_DEFAULT_QUEUE)))
    priority = check_priority(_priority(options, task))
    delay, due_at = _due(options)
    expires_in, expires_at = _expiry(options, task)
    parent, root, trail = _lineage(options, task)
    task_id = canonical(options["task_id"]) if options.get("task_id") else new_id()
    headers = _headers(options, task)
    if part.sends:
        _tell_before(task_id, name, args, kwargs, headers, queue)
    return NewMessage(
        task_id,
        name,
        *_encoded(args, kwargs),
        queue=queue,
        priority=priority,
        delay=delay,
        due_at=due_at,
        expires_in=expires_in,
        expires_at=expires_at,
        acks_late=task.acks_late if task is not None and options.get("acks_late") is None else options.get("acks_late"),
        options=_encode_options(options, task, headers, {**trail, **part.kept}),
        group=canonical(options["group_id"]) if options.get("group_id") else None,
        root=root,
        parent=parent,
    )


def prepare_many(calls: Iterable[PlainCall]) -> Iterator[NewMessage]:
    """Make the messages of many calls: one that differs from the one before in its arguments alone costs only these."""
    model: NewMessage | None = None
    before: Options = {}
    # A route and a receiver may look at the arguments.
    alike = not (settings.TASK_ROUTES or signals.before_task_publish.receivers)
    for name, args, kwargs, options in calls:
        task = registry.find(name)
        if model is not None and alike and name == model.task and options == before and not options.get("task_id"):
            yield _another(model, task, args, kwargs)
        else:
            model, before = prepare(name, task, args, kwargs, options), options
            yield model


def _another(model: NewMessage, task: Task | None, args: Args, kwargs: Kwargs) -> NewMessage:
    """Make a message that has an id and arguments of its own."""
    args, kwargs = _arguments(model.task, task, args, kwargs, 0)
    return NewMessage._make((new_id(), model.task, *_encoded(args, kwargs), *model[4:]))


def _encoded(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
    limit = settings.MAX_PAYLOAD_BYTES
    return (
        payloads.encode(args, where="args", max_bytes=limit) if args else "[]",
        payloads.encode(kwargs, where="kwargs", max_bytes=limit) if kwargs else "{}",
    )


def _arguments(
    name: str, task: Task | None, args: Args, kwargs: Kwargs, handed: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments as they are to be stored, checked against what the body takes (CALL-2)."""
    args, kwargs = containers(name, args, kwargs)
    if task is None:
        return args, kwargs
    task.check_arguments((*(None,) * handed, *args) if handed else args, kwargs)
    return (tuple(dumped(args)), dumped(kwargs)) if task.pydantic else (args, kwargs)


def containers(name: str, args: Args, kwargs: Kwargs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments as tuple and dict; raise TypeError for what is neither."""
    if args is None or type(args) is tuple:
        args = args or ()
    elif isinstance(args, (str, bytes, Mapping)) or not isinstance(args, Iterable):
        raise TypeError(f"args of {name} is a list or tuple of arguments, not {type(args).__name__}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs of {name} is a dict of arguments, not {type(kwargs).__name__}")
    return tuple(args), dict(kwargs or {})


def _option(options: Options, task: Task | None, name: str, default: Any) -> Any:
    if options.get(name) is not None:
        return options[name]
    return default if task is None else getattr(task, name)


def _priority(options: Options, task: Task | None) -> Any:
    if settings.TASK_INHERIT_PARENT_PRIORITY:
        inherited = routing.inherited_priority(task, options)
        if inherited is not None:
            return inherited
    return _option(options, task, "priority", settings.TASK_DEFAULT_PRIORITY)


def _due(options: Options) -> tuple[float, float | None]:
    countdown, eta = options.get("countdown"), options.get("eta")
    if countdown is not None and eta is not None:
        raise ValueError("countdown and eta say the same thing twice: give one of them (CALL-3)")
    if eta is not None:
        return 0.0, _epoch(eta, "eta")
    return (max(0.0, seconds_of(countdown, "countdown")) if countdown else 0.0), None


def _expiry(options: Options, task: Task | None) -> tuple[float | None, float | None]:
    expires = options.get("expires", None if task is None else task.expires)
    if expires is None:
        return None, None
    if isinstance(expires, datetime):
        return None, _epoch(expires, "expires")
    return seconds_of(expires, "expires"), None


def _epoch(moment: Any, name: str) -> float:
    return epoch_of(moment, name, django_settings.USE_TZ, timezone.get_default_timezone())


def _lineage(options: Options, task: Task | None) -> tuple[str | None, str | None, dict[str, Any]]:
    """Say whose child a message is; a parent that keeps no trail is only told to the child (CALL-10)."""
    run = current_run()
    parent, root = options.get("parent_id"), options.get("root_id")
    if run is not None and run[1].id is not None:
        parent, root = parent or run[1].id, root or run[1].root_id
        if not run[0].trail or options.get("add_to_parent") is False:
            return None, root, {"parent_id": parent}
    return parent and canonical(parent), root and canonical(root), {}


def _headers(options: Options, task: Task | None) -> dict[str, Any]:
    given = options.get("headers") or {}
    check_headers(given)
    return {**((task.headers if task else None) or {}), **given}


def _encode_options(options: Options, task: Task | None, headers: dict[str, Any], kept: dict[str, Any]) -> str:
    """Keep with the message what only its run needs and what differs from its task."""
    for name in ("ignore_result", "shadow", "stamped_headers", "argsrepr", "kwargsrepr"):
        if options.get(name) is not None:
            kept[name] = options[name]
    if "time_limit" in options or "soft_time_limit" in options:
        kept.update(_limits(options, task))
    for name in kept.keys() & {"argsrepr", "kwargsrepr"}:
        check_representation(kept[name], name)
    if task is not None and task.sensitive:
        # For those who show the message where the task is not known.
        kept["sensitive"] = task.sensitive
    if headers:
        kept["headers"] = headers
    if options.get("tags") or (task is not None and task.tags):
        kept["tags"] = stamping.tags_of(task.tags if task else (), options.get("tags"))
    return payloads.encode(kept, where="options", max_bytes=settings.MAX_PAYLOAD_BYTES) if kept else "{}"


def _limits(options: Options, task: Task | None) -> dict[str, Any]:
    """Return the time limits of the call, where None clears the task's own (CALL-5); they have to fit each other.

    Those of the settings need not: whichever comes first counts.
    """
    given = {name: options[name] for name in ("time_limit", "soft_time_limit") if name in options}
    check_values(given)
    own = None if task is None else task.own
    soft, hard = (given.get(name, own and own(name)) for name in ("soft_time_limit", "time_limit"))
    check_limits(soft, hard)
    return given


def handle_of(message: NewMessage, task: Task | None, options: Options, parent: Node | None = None) -> AsyncResult:
    """Make the handle that a caller gets of a message."""
    ignored = _option(options, task, "ignore_result", settings.TASK_IGNORE_RESULT)
    return AsyncResult(message.id, task_name=message.task, parent=parent, ignored=bool(ignored))


def standing_of(name: str, options: Options) -> dict[str, Any]:
    """Say in which queue, and with which priority, a call of a task with these options would stand."""
    task = registry.find(name)
    if settings.TASK_ROUTES:
        options = routing.routed(name, task, (), {}, options)
    queue = _option(options, task, "queue", settings.TASK_DEFAULT_QUEUE)
    return {"queue": queue, "priority": _priority(options, task)}


def _tell_before(message_id: str, name: str, args: Any, kwargs: Any, headers: dict[str, Any], queue: str) -> None:
    if signals.before_task_publish.receivers:
        facts = {"task_id": message_id, "body": (args, kwargs), "headers": headers, "routing_key": queue}
        signals.send(signals.before_task_publish, name, **facts)
