"""From a call to a message: options are merged, arguments checked and encoded, and the row is inserted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from djtasks import signals
from djtasks.broker.enqueue import enqueue
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.identifiers import as_uuid, check_priority, check_queue_name, check_task_name, uuid7
from djtasks.domain.messages import NewMessage
from djtasks.domain.options import CALL_OPTIONS, check_headers, check_names, epoch_of, seconds_of
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Result
from djtasks.tasks import eager, registry
from djtasks.tasks.context import current_run
from djtasks.tasks.result import AsyncResult, EagerResult

if TYPE_CHECKING:
    from djtasks.tasks.task import Task

Args = Sequence[Any] | None
Kwargs = Mapping[str, Any] | None


def send(name: str, task: Task | None, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> AsyncResult:
    """Enqueue one message, or run it at once where everything is eager."""
    if task is not None and settings.TASK_ALWAYS_EAGER:
        return eager.run(task, prepare(name, task, args, kwargs, options, sends=False))
    message = prepare(name, task, args, kwargs, options)
    _insert_or_find(message, options)
    return _handle(message, task, options)


def send_on_commit(name: str, task: Task | None, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> AsyncResult:
    """Enqueue a message that counts once the data's transaction has committed."""
    if settings.DATABASE == DEFAULT_DB_ALIAS or settings.TASK_ALWAYS_EAGER:
        return send(name, task, args, kwargs, options)
    message = prepare(name, task, args, kwargs, options)
    transaction.on_commit(lambda: _insert_or_find(message, options))
    return _handle(message, task, options)


def send_task(name: str, args: Args = None, kwargs: Kwargs = None, **options: Any) -> AsyncResult:
    """Enqueue a task by its name, which need not be registered here (CALL-7)."""
    check_task_name(name)
    if settings.TASK_ALWAYS_EAGER:
        warnings.warn("TASK_ALWAYS_EAGER has no effect on send_task", stacklevel=2)
    task = registry.find(name)
    message = prepare(name, task, args, kwargs, options)
    _insert_or_find(message, options)
    return _handle(message, task, options)


def apply(task: Task, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> EagerResult:
    """Run a task here and now, under the checks that its message would meet."""
    retries, throw = options.pop("retries", 0), options.pop("throw", None)
    return eager.run(task, prepare(task.name, task, args, kwargs, options, sends=False), retries, throw)


def enqueue_many(calls: Iterable[Sequence[Any]]) -> list[AsyncResult]:
    """Enqueue many messages in one statement: all of them, or none.

    Each call is ``(task, args, kwargs)`` or ``(task, args, kwargs, options)``; what is left out is empty.
    """
    prepared = [_prepare_one(position, call) for position, call in enumerate(calls)]
    if settings.TASK_ALWAYS_EAGER:
        return [eager.run(task, message) for message, task, _ in prepared]
    chosen = [message.id for message, _, options in prepared if options.get("task_id")]
    _insert([message for message, *_ in prepared], chosen)
    return [_handle(*each) for each in prepared]


def _prepare_one(position: int, call: Sequence[Any]) -> tuple[NewMessage, Task, dict[str, Any]]:
    if not isinstance(call, (tuple, list)) or not 1 <= len(call) <= 4 or not hasattr(call[0], "apply_async"):
        raise TypeError(f"call {position} is not (task, args, kwargs[, options]): {call!r:.100}")
    task, args, kwargs, options = [*call, None, None, None][:4]
    if "exist_ok" in (options or {}):
        raise TypeError(f"enqueue_many takes no option 'exist_ok': send call {position} with apply_async")
    message = prepare(task.name, task, args, kwargs, options or {}, sends=not settings.TASK_ALWAYS_EAGER)
    return message, task, options or {}


def _insert_or_find(message: NewMessage, options: Mapping[str, Any]) -> None:
    """Enqueue a message; one that is known already is an error, unless the caller expects it (CALL-9)."""
    try:
        _insert([message], [message.id] if options.get("task_id") else [])
    except AlreadyEnqueued:
        if not options.get("exist_ok"):
            raise


def _insert(messages: Sequence[NewMessage], chosen: Sequence[str]) -> None:
    """Enqueue messages, of which those whose id the caller has chosen may be known already: then none is enqueued."""
    if chosen:
        with transaction.atomic(using=settings.DATABASE):
            enqueue(messages)
            _check_that_none_has_ended(chosen)
    else:
        enqueue(messages)
    if signals.after_task_publish.receivers:
        transaction.on_commit(partial(_tell_after, messages), using=settings.DATABASE, robust=True)


def _check_that_none_has_ended(chosen: Sequence[str]) -> None:
    """Raise AlreadyEnqueued for an id that has a result; looked for last, as a living message may just have ended."""
    ended = Result.objects.using(settings.DATABASE).filter(pk__in=chosen).values_list("pk", flat=True)
    for task_id in ended[:1]:
        raise AlreadyEnqueued(f"the task with the task_id {task_id} has ended already; see exist_ok=True")


def _tell_before(message_id: str, name: str, args: Any, kwargs: Any, headers: dict[str, Any], queue: str) -> None:
    if signals.before_task_publish.receivers:
        facts = {"task_id": message_id, "body": (args, kwargs), "headers": headers, "routing_key": queue}
        signals.send(signals.before_task_publish, name, **facts)


def _tell_after(messages: Sequence[NewMessage]) -> None:
    for message in messages:
        body = payloads.decode(message.args), payloads.decode(message.kwargs)
        headers = payloads.decode(message.options).get("headers", {})
        facts = {"task_id": message.id, "body": body, "headers": headers, "routing_key": message.queue}
        signals.send(signals.after_task_publish, message.task, **facts)


def prepare(
    name: str, task: Task | None, args: Args, kwargs: Kwargs, options: Mapping[str, Any], *, sends: bool = True
) -> NewMessage:
    """Make the message of a call: options of the call over the task's over the settings' (CALL-5)."""
    check_names(options, CALL_OPTIONS, f"{name}.apply_async")
    args, kwargs = _checked_containers(name, args, kwargs)
    if task is not None:
        task.check_arguments(args, kwargs)
    limit = settings.MAX_PAYLOAD_BYTES
    queue = check_queue_name(_option(options, task, "queue", settings.TASK_DEFAULT_QUEUE))
    priority = _option(options, task, "priority", settings.TASK_DEFAULT_PRIORITY)
    delay, due_at = _due(options)
    expires_in, expires_at = _expiry(options, task)
    parent, root, kept = _lineage(options, task)
    task_id = str(as_uuid(options["task_id"]) if options.get("task_id") else uuid7())
    headers = _headers(options, task)
    if sends:
        _tell_before(task_id, name, args, kwargs, headers, queue)
    return NewMessage(
        id=task_id,
        task=name,
        args=payloads.encode(args, where="args", max_bytes=limit) if args else "[]",
        kwargs=payloads.encode(kwargs, where="kwargs", max_bytes=limit) if kwargs else "{}",
        queue=queue,
        priority=check_priority(priority),
        delay=delay,
        due_at=due_at,
        expires_in=expires_in,
        expires_at=expires_at,
        acks_late=task.acks_late if task is not None and options.get("acks_late") is None else options.get("acks_late"),
        options=_encode_options(options, headers, kept),
        root=root,
        parent=parent,
    )


def _checked_containers(name: str, args: Args, kwargs: Kwargs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if args is not None and (isinstance(args, (str, bytes, Mapping)) or not isinstance(args, Iterable)):
        raise TypeError(f"args of {name} is a list or tuple of arguments, not {type(args).__name__}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs of {name} is a dict of arguments, not {type(kwargs).__name__}")
    return tuple(args or ()), dict(kwargs or {})


def _option(options: Mapping[str, Any], task: Task | None, name: str, default: Any) -> Any:
    if options.get(name) is not None:
        return options[name]
    return default if task is None else getattr(task, name)


def _due(options: Mapping[str, Any]) -> tuple[float, float | None]:
    countdown, eta = options.get("countdown"), options.get("eta")
    if countdown is not None and eta is not None:
        raise ValueError("countdown and eta say the same thing twice: give one of them (CALL-3)")
    if eta is not None:
        return 0.0, _epoch(eta, "eta")
    return (max(0.0, seconds_of(countdown, "countdown")) if countdown else 0.0), None


def _expiry(options: Mapping[str, Any], task: Task | None) -> tuple[float | None, float | None]:
    expires = options.get("expires", None if task is None else task.expires)
    if expires is None:
        return None, None
    if isinstance(expires, datetime):
        return None, _epoch(expires, "expires")
    return seconds_of(expires, "expires"), None


def _epoch(moment: Any, name: str) -> float:
    return epoch_of(moment, name, django_settings.USE_TZ, timezone.get_default_timezone())


def _lineage(options: Mapping[str, Any], task: Task | None) -> tuple[str | None, str | None, dict[str, Any]]:
    """Say whose child a message is; a parent that keeps no trail is only told to the child (CALL-10)."""
    run = current_run()
    parent, root = options.get("parent_id"), options.get("root_id")
    if run is not None and run[1].id is not None:
        parent, root = parent or run[1].id, root or run[1].root_id
        if not run[0].trail or options.get("add_to_parent") is False:
            return None, root, {"parent_id": parent}
    return parent and str(as_uuid(parent)), root and str(as_uuid(root)), {}


def _headers(options: Mapping[str, Any], task: Task | None) -> dict[str, Any]:
    given = options.get("headers") or {}
    check_headers(given)
    return {**((task.headers if task else None) or {}), **given}


def _encode_options(options: Mapping[str, Any], headers: dict[str, Any], kept: dict[str, Any]) -> str:
    """Keep with the message what only its run needs and what differs from its task."""
    for name in ("ignore_result", "shadow"):
        if options.get(name) is not None:
            kept[name] = options[name]
    if headers:
        kept["headers"] = headers
    return payloads.encode(kept, where="options", max_bytes=settings.MAX_PAYLOAD_BYTES) if kept else "{}"


def _handle(message: NewMessage, task: Task | None, options: Mapping[str, Any]) -> AsyncResult:
    ignored = _option(options, task, "ignore_result", settings.TASK_IGNORE_RESULT)
    return AsyncResult(message.id, task_name=message.task, ignored=bool(ignored))
