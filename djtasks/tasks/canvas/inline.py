"""A workflow that is run here and now, each message as it is laid, with the outcome that workers give it (MON-3)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from djtasks.domain import payloads, states, workflows
from djtasks.domain.ends import DROPPED, End, doomed_by
from djtasks.domain.errbacks import messages_of
from djtasks.domain.messages import NewMessage
from djtasks.domain.signatures import NOTHING_MORE, Call, Data
from djtasks.domain.workflows import FAILURE, OF_BODIES, SUCCESS, Edge, inputs_of, is_satisfied, prepended
from djtasks.tasks import eager, registry
from djtasks.tasks.canvas.laying import Layout
from djtasks.tasks.preparing import Options
from djtasks.tasks.results.nodes import Node
from djtasks.tasks.results.result import AsyncResult, EagerResult

FATES = {states.SUCCESS: SUCCESS, states.FAILURE: FAILURE, states.REVOKED: workflows.REVOKED}


class Inline(Layout):
    """Runs what it lays; with ``throw`` raises what a task raises, None leaves that to the settings."""

    def __init__(self, throw: bool | None = None) -> None:
        super().__init__(sends=False)
        self._throw = throw
        self._results: dict[str, EagerResult] = {}
        self._ends: dict[str, End] = {}
        self._values: dict[str, str] = {}

    def run(self, signature: Data, call: Call = NOTHING_MORE) -> Any:
        """Run a signature and all that follows from it; return its handle, of which everything has ended."""
        for message in self.messages(signature, call):
            self.run_message(message)
        return self.handle

    def run_message(self, message: NewMessage) -> None:
        """Run a message, or end it where it cannot run; those for which it waits have been dealt with."""
        edges = list(takewhile(lambda edge: edge.message == message.id, reversed(self.edges)))[::-1]
        end = self._doom_of(message, edges)
        if end is None:
            values = (self._values[edge.upstream] for edge in edges if edge.position is not None)
            self._run(message, inputs_of(message.inputs, values))
            return
        self._results[message.id] = eager.unrun(message, end)
        self._ends[message.id] = end
        if end.fate == FAILURE and message.inputs in OF_BODIES:
            self._call_errbacks(message, message.args, end.error)

    def _doom_of(self, message: NewMessage, edges: Iterable[Edge]) -> End | None:
        for edge in edges:
            end = self._ends[edge.upstream]
            if not is_satisfied(edge.on, end.fate):
                return DROPPED if edge.on == FAILURE else doomed_by(edge.upstream, end, message.inputs)
        return None

    def _run(self, message: NewMessage, handed: str | None) -> None:
        result = eager.run(registry.get(message.task), message, throw=self._throw, handed=handed)
        error = json.dumps(result.errors[-1]) if result.errors else ""
        end = End(FATES.get(result.state, workflows.IGNORED), result.state, error)
        self._results[message.id], self._ends[message.id] = result, end
        if end.fate == SUCCESS:
            self._values[message.id] = payloads.encode(result.result, where="result")
        elif end.fate == FAILURE:
            self._call_errbacks(message, prepended(handed, message.args), end.error)

    def _call_errbacks(self, message: NewMessage, args: str, error: str) -> None:
        for errback in messages_of(message.options, {**message._asdict(), "args": args, "retries": 0}, error):
            self._run(errback, None)

    def handle_of(self, message: NewMessage, options: Options, parent: Node | None) -> AsyncResult:
        """Return the result of a message that was laid, and so has been run."""
        result = self._results[message.id]
        result.parent = parent
        return result
