"""Signatures as plain data: how a call is laid over them, and which steps a chain has (CANV-1, CANV-4).

Canvases keep their members, and arguments by name for them, under ``kwargs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from djtasks.domain.batches import batches

Data = dict[str, Any]

CHAIN = "chain"
GROUP = "group"
CHORD = "chord"
CHUNKS = "chunks"
XMAP = "xmap"
XSTARMAP = "xstarmap"

# The tasks of djtasks itself; no others have names that begin like this.
INTERNAL = "djtasks."
GATHER = "djtasks.gather"
MAP = "djtasks.map"
STARMAP = "djtasks.starmap"
ERRBACK = "djtasks.errback"

# Options of a group that are not its members'.
OF_THE_GROUP = frozenset({"task_id", "gather_id", "group_id"})
# Options of a chain that its last step has; of all others but errbacks the first has them, as in Celery.
_OF_THE_LAST = frozenset({"task_id", "group_id", "link"})
# Options of a chord that are not its body's, and those that are not its header's.
_NOT_OF_THE_BODY = frozenset({"countdown", "eta", "parent_id", "root_id"})
_NOT_OF_THE_HEADER = frozenset({"task_id", "group_id", "link"})
# What a None clears; any other option that is None is one that was not given.
_CLEARED = frozenset({"expires", "time_limit", "soft_time_limit"})


class Call(NamedTuple):
    """What a call adds to a signature."""

    args: tuple[Any, ...] = ()
    kwargs: Data = {}
    options: Data = {}


NOTHING_MORE = Call()


class Stream(Iterable[Any]):
    """What a generator yields, read while it is sent; what is too long to be kept can be read once only."""

    KEPT = 10_000

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._kept: list[Any] = []
        self._is_lost = False

    def __iter__(self) -> Iterator[Any]:
        if self._is_lost:
            raise RuntimeError(f"a generator of more than {self.KEPT:,} members is read once: give a list instead")
        yield from self._kept
        for each in self._source:
            if len(self._kept) < self.KEPT and not self._is_lost:
                self._kept.append(each)
            else:
                self._is_lost = True
                self._kept.clear()
            yield each

    def __repr__(self) -> str:
        # Nothing is read in order to be shown.
        return "<generator>"


def plain(task: str, args: Any, kwargs: Any, options: Mapping[str, Any], *, immutable: bool = False) -> Data:
    """Return the data of a signature of one task."""
    own = {"task": task, "args": args or (), "kwargs": kwargs or {}, "options": dict(options)}
    return {**own, "subtask_type": None, "immutable": immutable}


def group_of(members: Iterable[Data], options: Data) -> Data:
    """Return the data of a group."""
    return {**plain("djtasks.group", (), {"tasks": members}, options), "subtask_type": GROUP}


def group_of_chunks(chunks: Data) -> Data:
    """Return the data of the group that chunks stand for: each member runs the task for so many items."""
    task, it, size = (chunks["kwargs"][name] for name in ("task", "it", "n"))

    def members() -> Iterator[Data]:
        for part in batches(it, size):
            yield {**plain(STARMAP, (), {"task": task, "it": part}, {}, immutable=True), "subtask_type": XSTARMAP}

    return group_of(members(), chunks["options"])


def chain_of(steps: Iterable[Data], options: Data) -> Data:
    """Return the data of a chain."""
    return {**plain("djtasks.chain", (), {"tasks": steps}, options), "subtask_type": CHAIN}


def chord_of(header: Any, body: Any, options: Data) -> Data:
    """Return the data of a chord; its header is a group."""
    return {**plain("djtasks.chord", (), {"header": header, "body": body}, options), "subtask_type": CHORD}


def joined(left: Data, right: Data, *, errbacks_on_headers: bool = False) -> Data:
    """Return copies of two signatures, of which the second follows the first, as one (CANV-6).

    What follows a group makes it the header of a chord, and what follows a chord becomes part of its body.
    """
    steps = [left] if kind_of(left) == GROUP else _spliced(left, errbacks_on_headers)
    steps = [copied(step) for step in steps]
    for step in _spliced(right, errbacks_on_headers):
        if is_empty_group(step) and steps:
            continue
        last, kind = (steps[-1], kind_of(steps[-1])) if steps else ({}, None)
        if kind == GROUP and kind_of(step) != GROUP:
            steps[-1] = chord_of(last, copied(step), {})
        elif kind == CHORD:
            body = last["kwargs"]["body"]
            new = copied(step) if body is None else joined(body, step, errbacks_on_headers=errbacks_on_headers)
            last["kwargs"]["body"] = new
        else:
            steps.append(copied(step))
    return steps[0] if len(steps) == 1 and kind_of(steps[0]) in (GROUP, CHORD) else chain_of(steps, {})


def kind_of(signature: Mapping[str, Any]) -> str | None:
    """Say which canvas a signature is; None for a task."""
    kind: str | None = signature.get("subtask_type")
    return kind


def called(signature: Data, call: Call) -> Data:
    """Return the data of a signature with a call laid over it."""
    if kind_of(signature) is None:
        args, kwargs, options = merged(signature, call)
        return {**signature, "args": args, "kwargs": kwargs, "options": options}
    args, kwargs, options = merged_for_members(signature, call)
    by_name = {"kwargs": kwargs} if kwargs else {}
    return {**signature, "args": args, "kwargs": {**signature["kwargs"], **by_name}, "options": options}


def merged(signature: Data, call: Call, *, force: bool = False) -> Call:
    """Lay a call over a signature of a task: its arguments go before the signature's own, the newest options win.

    Callbacks and errbacks add up. An immutable signature takes options alone, unless by ``force``.
    """
    options = with_options(signature["options"], call.options)
    if signature.get("immutable") and not force:
        return Call(signature["args"], signature["kwargs"], options)
    args = (*call.args, *signature["args"]) if call.args else signature["args"]
    return Call(args, {**signature["kwargs"], **call.kwargs} if call.kwargs else signature["kwargs"], options)


def merged_for_members(signature: Data, call: Call) -> Call:
    """Lay a call over a canvas: what its members are to get of it."""
    own = {**signature, "kwargs": signature["kwargs"].get("kwargs") or {}}
    return merged(own, call)


def with_options(own: Data, given: Data) -> Data:
    """Lay options over others: the newest win, but no group and no stamp that is set; links add up (CANV-1)."""
    options = dict(own)
    fixed = {"group_id", *(own.get("stamped_headers") or ())} & own.keys()
    for name, value in given.items():
        if name in ("link", "link_error"):
            options[name] = distinct([*listed(own.get(name)), *listed(value)])
        elif name == "stamped_headers":
            options[name] = distinct([*(own.get(name) or ()), *(value or ())])
        elif name not in fixed and (value is not None or name in _CLEARED):
            options[name] = value
    return options


def copied(signature: Data) -> Data:
    """Copy the data of a signature as deep as signatures go: arguments are shared."""
    options = {
        name: [copied(each) for each in listed(value)] if name in ("link", "link_error") else value
        for name, value in signature.get("options", {}).items()
    }
    kwargs = dict(signature.get("kwargs", {}))
    if kind_of(signature) is not None:
        kwargs = {name: _copied_members(value) for name, value in kwargs.items()}
    return {**signature, "kwargs": kwargs, "options": options}


def _copied_members(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied_members(each) for each in value]
    return copied(value) if isinstance(value, dict) and "subtask_type" in value else value


def listed(value: Any) -> list[Any]:
    """Return callbacks or errbacks, of which one alone may be given, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def distinct(values: Iterable[Any]) -> list[Any]:
    """Leave out what is there already; the values need not be hashable."""
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def steps_of(chain: Data, call: Call = NOTHING_MORE, *, errbacks_on_headers: bool = False) -> list[Data]:
    """Return the steps of a chain, those of chains in it among them, with what was given to the whole laid over them.

    The first has the arguments and most options, the last has the id and the callbacks, and every step the errbacks;
    but a group whose values the next step gets is the header of a chord, and has them on demand (CANV-4, CANV-8).
    """
    args, kwargs, options = merged_for_members(chain, call)
    steps = [step for each in chain["kwargs"]["tasks"] for step in _spliced(each, errbacks_on_headers)]
    steps = [step for step in steps if not is_empty_group(step)] or steps[:1]
    for place, step in enumerate(steps):
        is_last = place == len(steps) - 1
        given = {name: value for name, value in options.items() if name in _OF_THE_LAST} if is_last else {}
        if place == 0:
            given |= {name: value for name, value in options.items() if name not in {*_OF_THE_LAST, "link_error"}}
        if "link_error" in options and (is_last or errbacks_on_headers or kind_of(step) != GROUP):
            given["link_error"] = options["link_error"]
        steps[place] = called(step, Call(args, kwargs, given) if place == 0 else Call(options=given))
    if chain.get("immutable") and steps:
        steps[0] = {**steps[0], "immutable": True}
    return steps


def _spliced(step: Data, errbacks_on_headers: bool) -> list[Data]:
    """Return the steps that stand for one: those of a chain, and the member of a group that has no others."""
    if kind_of(step) == CHAIN:
        return steps_of(step, errbacks_on_headers=errbacks_on_headers)
    if kind_of(step) == GROUP and isinstance(members := step["kwargs"]["tasks"], list) and len(members) == 1:
        options = {name: value for name, value in step["options"].items() if name not in OF_THE_GROUP}
        member = called(members[0], merged_for_members({**step, "options": {}}, Call(options=options)))
        return _spliced(member, errbacks_on_headers)
    return [step]


def is_empty_group(signature: Data) -> bool:
    """Say whether a signature is a group that is known to have no members."""
    return kind_of(signature) == GROUP and signature["kwargs"]["tasks"] in ([], ())


def calls_of(chord: Data, call: Call, *, errbacks_on_headers: bool) -> tuple[Call, Call]:
    """Share what was given to a chord between its header and its body: the id and the callbacks are the body's.

    A delay is the header's, which comes first; all other options are those of both, as in Celery.
    """
    args, kwargs, options = merged_for_members(chord, call)
    not_of_the_header = _NOT_OF_THE_HEADER if errbacks_on_headers else {*_NOT_OF_THE_HEADER, "link_error"}
    header = {name: value for name, value in options.items() if name not in not_of_the_header}
    body = {name: value for name, value in options.items() if name not in _NOT_OF_THE_BODY}
    return Call(args, kwargs, header), Call(options=body)
