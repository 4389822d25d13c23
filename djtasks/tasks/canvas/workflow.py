"""Workflows of any shape: signatures that wait for others, each under a condition of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from djtasks.conf import settings
from djtasks.domain.messages import NewMessage
from djtasks.domain.workflows import CONDITIONS, FAILURE, FEEDS, FEEDS_NOBODY, FEEDS_ON_FAILURE, SUCCESS
from djtasks.tasks.canvas.draft import as_signature
from djtasks.tasks.canvas.inline import Inline
from djtasks.tasks.canvas.laying import Layout
from djtasks.tasks.canvas.placing import Laid, Place
from djtasks.tasks.results.result import AsyncResult
from djtasks.tasks.sending import insert_workflow


class Node:
    """A signature in a workflow, with those for which it waits; its ``result`` is known when it has been sent."""

    def __init__(self, signature: Any, after: dict[Node, str]) -> None:
        self.result: Any = None
        self.signature = signature
        self.after = after
        self.feeds = FEEDS_NOBODY

    def __repr__(self) -> str:
        return f"<Node: {self.signature!r}>"


class Workflow:
    """Signatures of which each may wait for any that were added before it.

    After one other a signature gets its value, after several the list of their values in the order of ``after``; an
    immutable one gets nothing, and neither does any from those that it does not want to have succeeded.
    """

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._known: set[Node] = set()

    def add(self, signature: Any, after: Iterable[Node | tuple[Node, str]] = (), on: str = SUCCESS) -> Node:
        """Add a signature of any kind, and return what others may wait for.

        It runs when those before it have ended as ``on`` says: "success", "failure", or "end" for either; a pair in
        ``after`` says it for one of them. If that cannot come true any more, it ends as a step of a chain does, and as
        the body of a chord where it waits for several; what waits for a failure that never came has no result. Raises
        ValueError for other conditions, and for what was added to another workflow.
        """
        before = dict((each, on) if isinstance(each, Node) else each for each in after)
        for each, condition in before.items():
            if condition not in CONDITIONS:
                raise ValueError(f"{condition!r:.80} is no condition: there are {', '.join(CONDITIONS)}")
            if each not in self._known:
                raise ValueError(f"{each!r:.80} was not added to this workflow")
        for each, condition in before.items():
            each.feeds = max(each.feeds, FEEDS_ON_FAILURE if condition == FAILURE else FEEDS)
        node = Node(as_signature(signature), before)
        self._nodes.append(node)
        self._known.add(node)
        return node

    def apply_async(self) -> list[AsyncResult]:
        """Send all of it at once; return a handle for each signature, in the order in which they were added.

        The handle of a group is that of the message whose value is the list of its values.
        """
        if settings.TASK_ALWAYS_EAGER:
            return self.apply()
        layout = Layout()
        insert_workflow(self._messages(layout), layout.edges, layout.chosen)
        return [node.result for node in self._nodes]

    delay = apply_async

    def apply(self, throw: bool | None = None) -> list[AsyncResult]:
        """Run all of it here and now (MON-3)."""
        inline = Inline(throw)
        for message in self._messages(inline):
            inline.run_message(message)
        return [node.result for node in self._nodes]

    def _messages(self, layout: Layout) -> Iterator[NewMessage]:
        laid: dict[Node, Laid] = {}
        for node in self._nodes:
            taken = [laid[each] for each, condition in node.after.items() if condition == SUCCESS]
            others = tuple((laid[each].ids[0], on) for each, on in node.after.items() if on != SUCCESS)
            after = taken[0] if len(taken) == 1 else None
            if len(taken) > 1:
                after = Laid(None, [each.ids[0] for each in taken], taken[-1].like, several=True)
            here = yield from layout.lay(node.signature, place=Place(after, others, as_one=True, feeds=node.feeds))
            if here is None:
                raise ValueError("an empty chain is nothing that could wait or be waited for")
            laid[node] = here
            node.result = here.handle
