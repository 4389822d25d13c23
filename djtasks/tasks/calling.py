"""What becomes of a call: its messages are inserted, now or once the data has been committed, or run here and now."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, transaction

from djtasks.conf import settings
from djtasks.domain.identifiers import check_task_name
from djtasks.domain.signatures import NOTHING_MORE, Call, Data, kind_of, plain
from djtasks.exceptions import AlreadyEnqueued
from djtasks.tasks import eager, registry
from djtasks.tasks.canvas.draft import as_signature
from djtasks.tasks.canvas.inline import Inline
from djtasks.tasks.canvas.laying import Layout
from djtasks.tasks.definition import Definition
from djtasks.tasks.preparing import (
    UNSENT,
    Args,
    Kwargs,
    Options,
    PlainCall,
    containers,
    handle_of,
    prepare,
    prepare_many,
)
from djtasks.tasks.results.result import AsyncResult, EagerResult
from djtasks.tasks.sending import insert, insert_or_find, insert_workflow

if TYPE_CHECKING:
    from djtasks.tasks.task import Task


# One task


def send(name: str, task: Task | None, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> AsyncResult:
    """Enqueue one message, or run it at once where everything is eager."""
    if _has_links(options):
        handle: AsyncResult = send_signature(plain(name, args, kwargs, options))
        return handle
    if task is not None and settings.TASK_ALWAYS_EAGER:
        return eager.run(task, prepare(name, task, args, kwargs, options, UNSENT))
    message = prepare(name, task, args, kwargs, options)
    insert_or_find(message, options)
    return handle_of(message, task, options)


def send_on_commit(name: str, task: Task | None, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> AsyncResult:
    """Enqueue a message that counts once the data's transaction has committed."""
    if settings.DATABASE == DEFAULT_DB_ALIAS or settings.TASK_ALWAYS_EAGER:
        return send(name, task, args, kwargs, options)
    if _has_links(options):
        layout = Layout()
        messages = list(layout.messages(plain(name, args, kwargs, options)))
        transaction.on_commit(lambda: insert_workflow(messages, layout.edges, layout.chosen))
        handle: AsyncResult = layout.handle
        return handle
    message = prepare(name, task, args, kwargs, options)
    transaction.on_commit(lambda: insert_or_find(message, options))
    return handle_of(message, task, options)


def send_task(name: str, args: Args = None, kwargs: Kwargs = None, **options: Any) -> AsyncResult:
    """Enqueue a task by its name, which need not be registered here (CALL-7)."""
    check_task_name(name)
    if settings.TASK_ALWAYS_EAGER:
        warnings.warn("TASK_ALWAYS_EAGER has no effect on send_task", stacklevel=2)
    if _has_links(options):
        handle: AsyncResult = _insert_laid(plain(name, args, kwargs, options))
        return handle
    task = registry.find(name)
    message = prepare(name, task, args, kwargs, options)
    insert_or_find(message, options)
    return handle_of(message, task, options)


def apply(task: Task, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> EagerResult:
    """Run a task here and now, under the checks that its message would meet."""
    retries, throw = options.pop("retries", 0), options.pop("throw", None)
    if _has_links(options):
        result: EagerResult = Inline(throw).run(plain(task.name, args, kwargs, options))
        return result
    return eager.run(task, prepare(task.name, task, args, kwargs, options, UNSENT), retries, throw)


def _has_links(options: Options) -> bool:
    return bool(options.get("link") or options.get("link_error"))


# Signatures of any kind


def send_signature(signature: Data, args: Args = None, kwargs: Kwargs = None, options: Data | None = None) -> Any:
    """Enqueue all messages of a signature, or run them at once where everything is eager; return its handle."""
    call = Call(*containers(signature["task"], args, kwargs), options or {})
    return Inline().run(signature, call) if settings.TASK_ALWAYS_EAGER else _insert_laid(signature, call)


def apply_signature(signature: Data, args: Args, kwargs: Kwargs, options: dict[str, Any]) -> Any:
    """Run a signature here and now; return its handle."""
    throw = options.pop("throw", None)
    return Inline(throw).run(signature, Call(*containers(signature["task"], args, kwargs), options))


def _insert_laid(signature: Data, call: Call = NOTHING_MORE) -> Any:
    layout = Layout()
    messages = layout.messages(signature, call)
    try:
        insert_workflow(messages, layout.edges, layout.chosen)
    except AlreadyEnqueued:
        if not {**signature["options"], **call.options}.get("exist_ok"):
            raise
        # None of them is there; what the handle is shows when all are made.
        deque(messages, maxlen=0)
    return layout.handle


# Many calls


def enqueue_many(calls: Iterable[Sequence[Any] | Data]) -> list[Any]:
    """Enqueue many messages in one statement: all of them, or none.

    Each call is a signature, or ``(task, args, kwargs)`` or ``(task, args, kwargs, options)``; what is left out is
    empty.
    """
    wanted = [_wanted(position, call) for position, call in enumerate(calls)]
    alone = [each for each in wanted if isinstance(each, tuple) and not _has_links(each[3])]
    if len(alone) == len(wanted) and not settings.TASK_ALWAYS_EAGER:
        return _insert_alone(alone)
    signatures = [plain(*each) if isinstance(each, tuple) else each for each in wanted]
    if settings.TASK_ALWAYS_EAGER:
        return [Inline().run(each) for each in signatures]
    return _insert_workflows(signatures)


def _insert_alone(calls: Sequence[PlainCall]) -> list[Any]:
    messages = list(prepare_many(calls))
    insert(messages, [str(options["task_id"]) for _, _, _, options in calls if options.get("task_id")])
    return [
        handle_of(message, registry.find(message.task), options)
        for message, (_, _, _, options) in zip(messages, calls, strict=True)
    ]


def _insert_workflows(signatures: Sequence[Data]) -> list[Any]:
    layouts = [Layout() for _ in signatures]
    messages = (message for layout, each in zip(layouts, signatures, strict=True) for message in layout.messages(each))
    edges = chain.from_iterable(layout.edges for layout in layouts)
    insert_workflow(messages, edges, chain.from_iterable(layout.chosen for layout in layouts))
    return [layout.handle for layout in layouts]


def _wanted(position: int, call: Sequence[Any] | Data) -> PlainCall | Data:
    """Return what calls a single task as such a call, and all else as a signature."""
    if not isinstance(call, (tuple, list)) and isinstance(call, Mapping) and isinstance(call.get("task"), str):
        return _unless_plain(as_signature(call))
    if not isinstance(call, (tuple, list)) or not 1 <= len(call) <= 4 or not hasattr(call[0], "apply_async"):
        raise TypeError(f"call {position} is not (task, args, kwargs[, options]), nor a signature: {call!r:.100}")
    task, args, kwargs, options = [*call, None, None, None][:4]
    if "exist_ok" in (options or {}):
        raise TypeError(f"enqueue_many takes no option 'exist_ok': send call {position} with apply_async")
    if not isinstance(task, Definition):
        # One of Django's, with what was changed for this call.
        return _unless_plain(task.signature(args, kwargs, options))
    return task.name, args, kwargs, options or NOTHING_MORE.options


def _unless_plain(signature: Data) -> PlainCall | Data:
    if kind_of(signature):
        return signature
    return signature["task"], signature["args"], signature["kwargs"], signature["options"]
