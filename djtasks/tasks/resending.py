"""Tasks that operators send: new ones, and others like those that were sent before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from djtasks.domain.identifiers import new_id
from djtasks.models import Invocation
from djtasks.tasks import registry
from djtasks.tasks.preparing import Part, handle_of, prepare
from djtasks.tasks.results.result import AsyncResult
from djtasks.tasks.sending import insert

# Who sent it: kept where an operator did, and no call can say it by itself (S9).
SENT_BY = "sent_by"
REPRESENTATIONS = frozenset({"argsrepr", "kwargsrepr"})
# What a call says of its run.
SAID = REPRESENTATIONS | {
    *("headers", "stamped_headers", "tags", "shadow", "ignore_result", "time_limit", "soft_time_limit")
}
# What belongs to one message alone: its place in a workflow, its slot, its sender.
ITS_OWN = frozenset({"parent_id", "header", "failed", "schedule", "slot", "run_after", SENT_BY})
ERRBACKS = "link_error"


def send_by(
    operator: str,
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    like: Invocation | None = None,
) -> AsyncResult:
    """Send a task for an operator; what the options leave open is as the call of another one like it had it."""
    task, task_id = registry.find(name), new_id()
    stored = {} if like is None else _stored(like, args, kwargs)
    call = {**{key: stored[key] for key in SAID & stored.keys()}, **options, "task_id": task_id}
    kept = {key: stored[key] for key in stored.keys() - SAID - ITS_OWN} | {SENT_BY: operator}
    if ERRBACKS in kept:
        kept[ERRBACKS] = [{**each, "parent": task_id, "root": task_id} for each in kept[ERRBACKS]]
    message = prepare(name, task, args, kwargs, call, Part(kept=kept))
    insert([message], ())
    return handle_of(message, task, call)


def _stored(like: Invocation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a message, or of its result, as they hold for these arguments."""
    options: dict[str, Any] = like.options if isinstance(like.options, dict) else {}
    if not options.keys() & REPRESENTATIONS or (list(args), kwargs) == (like.args, like.kwargs):
        return options
    # What was shown in the place of the others is not true of these, and they are no less secret (S10).
    return {**{key: value for key, value in options.items() if key not in REPRESENTATIONS}, "sensitive": True}
