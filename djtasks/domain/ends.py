"""How messages end that can no longer run, since one for which they waited has ended otherwise (CANV-4, CANV-8)."""

from __future__ import annotations

import json
from typing import NamedTuple

from djtasks.domain import states
from djtasks.domain.workflows import FAILURE, IGNORED, OF_BODIES, REVOKED


class End(NamedTuple):
    """How a message has ended: its fate, the state of its result (None if none is kept), its error as a JSON line."""

    fate: str
    state: str | None
    error: str


# What was to be done about a failure that never came leaves no trace.
DROPPED = End(IGNORED, None, "")


def doomed_by(upstream: str, cause: End, inputs: str) -> End:
    """Say how a message ends whose upstream has not succeeded: a chord's body with an error of its own."""
    if inputs in OF_BODIES:
        return End(FAILURE, states.FAILURE, _chord_error(upstream, cause))
    if cause.fate == FAILURE:
        return cause._replace(state=states.FAILURE)
    return End(REVOKED, states.REVOKED, cause.error or _ignored(upstream))


def _chord_error(upstream: str, cause: End) -> str:
    record = json.loads(cause.error or _ignored(upstream))
    name = str(record.get("type", "")).rpartition(".")[2]
    message = f"Dependency {upstream} raised {name}({record.get('message', '')})"
    own = {"kind": "failure", "type": "djtasks.exceptions.ChordError", "message": message, "args": [message]}
    return json.dumps({**record, **own, "traceback": None, "cause": record})


def _ignored(upstream: str) -> str:
    message = f"{upstream}, for which it waited, ended without a result"
    error = {"kind": "revoked", "type": "djtasks.exceptions.TaskRevokedError", "reason": "ignored"}
    return json.dumps({**error, "message": message})
