"""The edges of workflows: who waits for whom, under which condition, and what is handed over (design, "Canvas")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from djtasks.domain.messages import NewMessage

# Under which condition an edge lets its message run: when the upstream has ended in this way.
SUCCESS = "success"
FAILURE = "failure"
END = "end"
CONDITIONS = (SUCCESS, FAILURE, END)

# How an upstream ended, its fate; SUCCESS and FAILURE are two more. An edge without a fate is open.
OPEN = ""
REVOKED = "revoked"
IGNORED = "ignored"

# What a message takes from its upstreams when it runs, before its own arguments. A result says so only where its
# message has never run: with the arguments of others what they are is known.
NO_EDGES = ""
NOTHING = "nothing"
VALUE = "value"
LIST = "list"
# Nothing either, but like a list this is what the body of a chord says, which fails with an error of its own.
ALL = "all"
OF_BODIES = (LIST, ALL)

# What waits for a message: nobody, those who wait for its success or end, or also those who wait for its failure.
FEEDS_NOBODY = 0
FEEDS = 1
FEEDS_ON_FAILURE = 2


class Edge(NamedTuple):
    """``message`` waits for ``upstream``, whose value goes to this ``position`` of its inputs (None: order only)."""

    message: str
    upstream: str
    position: int | None = None
    on: str = SUCCESS


class Workflow(NamedTuple):
    """Messages and the edges between them: what is inserted together."""

    messages: Sequence[NewMessage]
    edges: Sequence[Edge] = ()


def is_satisfied(on: str, fate: str) -> bool:
    """Say whether an upstream that ended so lets the message run."""
    return on in (END, fate)


def inputs_of(inputs: str, values: Iterable[str | None]) -> str | None:
    """Write what goes before a message's own arguments as a JSON array, from JSON texts in the order of positions."""
    if inputs not in (VALUE, LIST):
        return None
    # A row that was spoilt by hand may hold anything; what that makes of the text fails where it is read.
    text = ",".join(str(value or "null") for value in values)
    return f"[[{text}]]" if inputs == LIST else f"[{text}]"


def prepended(inputs: str | None, args: str) -> str:
    """Put inputs before arguments, both as JSON arrays."""
    if inputs is None:
        return args
    return inputs if args == "[]" else f"{inputs[:-1]},{args[1:]}"
