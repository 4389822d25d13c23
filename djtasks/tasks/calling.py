"""From a call to a message: options are merged, arguments checked and encoded, and the row is inserted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from djtasks.broker.enqueue import enqueue
from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.domain.identifiers import as_uuid, check_priority, check_queue_name, check_task_name, uuid7
from djtasks.domain.messages import NewMessage
from djtasks.domain.options import CALL_OPTIONS, check_names, epoch_of, seconds_of
from djtasks.exceptions import AlreadyEnqueued
from djtasks.models import Result
from djtasks.tasks import eager, registry
from djtasks.tasks.context import current_run
from djtasks.tasks.result import AsyncResult

if TYPE_CHECKING:
    from djtasks.tasks.task import Task

Args = Sequence[Any] | None
Kwargs = Mapping[str, Any] | None


def send(name: str, task: Task | None, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> AsyncResult:
    """Enqueue one message, or run it at once where everything is eager."""
    if task is not None and settings.TASK_ALWAYS_EAGER:
        check_names(options, CALL_OPTIONS, f"{name}.apply_async")
        check_arguments(task, tuple(args or ()), dict(kwargs or {}))
        return eager.apply(task, args, kwargs, options)
    message = prepare(name, task, args, kwargs, options)
    try:
        if options.get("task_id") and Result.objects.using(settings.DATABASE).filter(pk=message.id).exists():
            raise AlreadyEnqueued(f"the task with the task_id {message.id} has ended already; see exist_ok=True")
        enqueue([message])
    except AlreadyEnqueued:
        if not options.get("exist_ok"):
            raise
    return _handle(message, task, options)


def send_on_commit(name: str, task: Task | None, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> AsyncResult:
    """Enqueue a message that counts once the data's transaction has committed."""
    if settings.DATABASE == DEFAULT_DB_ALIAS or settings.TASK_ALWAYS_EAGER:
        return send(name, task, args, kwargs, options)
    message = prepare(name, task, args, kwargs, options)
    transaction.on_commit(lambda: enqueue([message]))
    return _handle(message, task, options)


def send_task(name: str, args: Args = None, kwargs: Kwargs = None, **options: Any) -> AsyncResult:
    """Enqueue a task by its name, which need not be registered here (CALL-7)."""
    check_task_name(name)
    if settings.TASK_ALWAYS_EAGER:
        warnings.warn("TASK_ALWAYS_EAGER has no effect on send_task", stacklevel=2)
    message = prepare(name, registry.find(name), args, kwargs, options)
    enqueue([message])
    return _handle(message, registry.find(name), options)


def enqueue_many(calls: Iterable[tuple[Any, ...]]) -> list[AsyncResult]:
    """Enqueue many messages in one statement.

    Each call is ``(task, args, kwargs)`` or ``(task, args, kwargs, options)``; what is left out is empty.
    """
    messages, handles = [], []
    for position, given in enumerate(calls):
        if not isinstance(given, tuple) or not 1 <= len(given) <= 4 or not hasattr(given[0], "apply_async"):
            raise TypeError(f"call {position} is not (task, args, kwargs[, options]): {given!r:.100}")
        task, args, kwargs, options = (*given, *(None, None, None)[len(given) - 1 :])
        message = prepare(task.name, task, args, kwargs, options or {})
        messages.append(message)
        handles.append(_handle(message, task, options or {}))
    if settings.TASK_ALWAYS_EAGER:
        raise RuntimeError("enqueue_many inserts rows; with TASK_ALWAYS_EAGER call apply_async for each")
    enqueue(messages)
    return handles


def prepare(name: str, task: Task | None, args: Args, kwargs: Kwargs, options: Mapping[str, Any]) -> NewMessage:
    """Make the message of a call: options of the call over the task's over the settings' (CALL-5)."""
    check_names(options, CALL_OPTIONS, f"{name}.apply_async")
    args, kwargs = _checked_containers(name, args, kwargs)
    if task is not None and task.typing:
        check_arguments(task, args, kwargs)
    limit = settings.MAX_PAYLOAD_BYTES
    queue = _option(options, task, "queue", settings.TASK_DEFAULT_QUEUE)
    priority = _option(options, task, "priority", settings.TASK_DEFAULT_PRIORITY)
    delay, due_at = _due(options)
    expires_in, expires_at = _expiry(options, task)
    parent, root, kept = _lineage(options, task)
    return NewMessage(
        id=str(as_uuid(options["task_id"]) if options.get("task_id") else uuid7()),
        task=name,
        args=payloads.encode(args, where="args", max_bytes=limit) if args else "[]",
        kwargs=payloads.encode(kwargs, where="kwargs", max_bytes=limit) if kwargs else "{}",
        queue=check_queue_name(queue),
        priority=check_priority(priority),
        delay=delay,
        due_at=due_at,
        expires_in=expires_in,
        expires_at=expires_at,
        acks_late=task.acks_late if task is not None and options.get("acks_late") is None else options.get("acks_late"),
        options=_encode_options(options, task, kept),
        root=root,
        parent=parent,
    )


def check_arguments(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise TypeError, as the body itself would, for arguments that it does not take (CALL-2)."""
    code = getattr(task.run, "__code__", None)
    if code is not None and not kwargs and not code.co_kwonlyargcount:
        bound = int(hasattr(task.run, "__self__"))
        most = code.co_argcount - bound
        least = most - len(task.run.__defaults__ or ())
        if least <= len(args) <= most:
            return
    try:
        task.signature_of_body().bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{task.name}() cannot be called like this: {error}") from None


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
    expires = options["expires"] if "expires" in options else None if task is None else task.expires
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


def _encode_options(options: Mapping[str, Any], task: Task | None, kept: dict[str, Any]) -> str:
    """Keep with the message what only its run needs and what differs from its task."""
    for name in ("ignore_result", "shadow"):
        if options.get(name) is not None:
            kept[name] = options[name]
    headers = {**((task.headers if task else None) or {}), **(options.get("headers") or {})}
    if headers:
        kept["headers"] = headers
    return payloads.encode(kept, where="options", max_bytes=settings.MAX_PAYLOAD_BYTES) if kept else "{}"


def _handle(message: NewMessage, task: Task | None, options: Mapping[str, Any]) -> AsyncResult:
    ignored = _option(options, task, "ignore_result", settings.TASK_IGNORE_RESULT)
    return AsyncResult(message.id, task_name=message.task, ignored=bool(ignored))
