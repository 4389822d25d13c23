"""Errbacks as they are kept with the message whose failure they wait for (CANV-3)."""

from __future__ import annotations

from typing import Any

from djtasks.domain.messages import NewMessage
from djtasks.domain.signatures import ERRBACK, NOTHING_MORE, Data, kind_of, listed, merged, plain
from djtasks.tasks import registry
from djtasks.tasks.canvas.errbacks import takes_several
from djtasks.tasks.preparing import Part, prepare


def kept_errback(errback: Data, owner: str, root: str, standing: Data) -> dict[str, Any]:
    """Prepare an errback of the message with the id ``owner``: the fields of its own that differ from their defaults.

    What is no plain task is sent by one of djtasks' own when the time has come, in the queue that ``standing`` says.
    """
    if kind_of(errback) is not None or errback.get("immutable") or errback["options"].get("link"):
        errback = plain(ERRBACK, (), {"canvas": errback}, standing)
    args, kwargs, options = merged(errback, NOTHING_MORE)
    further = [kept_errback(each, owner, root, standing) for each in listed(options.pop("link_error", None))]
    task = registry.find(errback["task"])
    part = Part(sends=False, handed=_handed(task), kept={"link_error": further} if further else {})
    message = prepare(errback["task"], task, args, kwargs, options, part)
    fields = message._replace(root=root, parent=owner)._asdict()
    del fields["id"]
    return {name: value for name, value in fields.items() if value != _DEFAULTS.get(name)}


_DEFAULTS = NewMessage._field_defaults


def _handed(task: Any) -> int:
    """Count the arguments that an errback gets: what failed, how and where, or its id alone."""
    return 3 if task is not None and takes_several(task) else 1
