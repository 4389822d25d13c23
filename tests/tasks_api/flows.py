"""Workflows put together by hand, and the handles of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from djtasks import AsyncResult, GroupResult, Task
from djtasks.broker.enqueue import enqueue_workflow
from djtasks.domain.identifiers import uuid7
from djtasks.domain.messages import NewMessage
from djtasks.domain.workflows import FEEDS, LIST, VALUE, Edge


def message(task: Task, *args: Any, **fields: Any) -> NewMessage:
    """Make a message of this task that waits for nobody."""
    given = {"id": str(uuid7()), "task": task.name, "args": json.dumps(args), "acks_late": False, **fields}
    return NewMessage(**given)


def step(task: Task, *args: Any, **fields: Any) -> NewMessage:
    """Make a message that waits for one other and takes its value."""
    return message(task, *args, **{"blocked": True, "inputs": VALUE, **fields})


def send_group(*messages: NewMessage, parent: AsyncResult | None = None) -> GroupResult:
    """Send messages as the members of a group."""
    group = str(uuid7())
    members = [each._replace(group=group, parent=parent and parent.id) for each in messages]
    enqueue_workflow(members, ())
    return GroupResult(group, [AsyncResult(each.id) for each in members])


def send_chain(*messages: NewMessage) -> AsyncResult:
    """Send messages of which each waits for the one before; return the last one's handle."""
    steps = [messages[0], *(later._replace(parent=earlier.id) for earlier, later in pairwise(messages))]
    fed = [*(each._replace(feeds=FEEDS) for each in steps[:-1]), steps[-1]]
    enqueue_workflow(fed, [Edge(later.id, earlier.id, 0) for earlier, later in pairwise(steps)])
    handle = None
    for each in steps:
        handle = AsyncResult(each.id, parent=handle)
    assert handle is not None
    return handle


def send_chord(header: Sequence[NewMessage], body: Task, *args: Any, **fields: Any) -> AsyncResult:
    """Send a header and the body that gets the list of its values; return the body's handle."""
    group = str(uuid7())
    members = [each._replace(group=group, feeds=FEEDS) for each in header]
    last = message(body, *args, blocked=True, inputs=LIST, **{"options": json.dumps({"header": group}), **fields})
    edges = [Edge(last.id, each.id, place) for place, each in enumerate(members)]
    enqueue_workflow([*members, last], edges)
    return AsyncResult(last.id, parent=GroupResult(group, [AsyncResult(each.id) for each in members]))
