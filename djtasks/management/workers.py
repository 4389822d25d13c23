"""What ``djtasks inspect`` and ``djtasks control`` ask workers, and how their answers look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from djtasks.management.report import Report, cell, indented, table
from djtasks.tasks.remote.asking import Destination, Replies, ask
from djtasks.tasks.remote.control import control
from djtasks.tasks.remote.inspection import inspect

NOBODY = "no worker has answered"
QUESTIONS = {
    "active": ("id", "name", "args", "kwargs", "seconds", "worker_pid"),
    "scheduled": ("eta", "id", "name", "args", "kwargs", "queue", "priority"),
    "reserved": ("id", "name", "args", "kwargs", "queue", "priority", "deliveries"),
    "active_queues": ("name", "excluded"),
    "revoked": (),
    "registered": (),
    "stats": (),
    "conf": (),
    "report": (),
    "ping": (),
    "query_task": (),
}


def inspected(question: str, destination: Destination, timeout: float, arguments: Sequence[str] = ()) -> Report:
    """Ask workers a question."""
    asked = inspect(destination, timeout)
    getattr(asked, question)(*arguments)
    trouble = "" if asked.replies.answers else NOBODY
    return _report(asked.replies, trouble, QUESTIONS[question])


def controlled(verb: str, arguments: Mapping[str, Any], destination: Destination, timeout: float) -> Report:
    """Tell workers to do something; it has worked where at least one has, and none has refused."""
    replies = ask(verb, arguments, destination, timeout, lasting=True)
    trouble = f"{len(replies.failed)} of {len(replies.answers)} workers refused" if replies.failed else ""
    return _report(replies, trouble if replies.answers else NOBODY, ())


def revoked(ids: Sequence[str], terminate: bool, signal: str, **criteria: Any) -> Report:
    """Revoke messages by their ids, or all that fit the criteria."""
    given = {name: value for name, value in criteria.items() if value}
    if "stamps" in given:
        given["stamps"] = dict(given["stamps"])
    if given:
        counts = control.revoke_all(**given, terminate=terminate, signal=signal)
        trouble = "" if sum(counts.values()) else "no living message fits"
        return Report(counts, table(("answer", "messages"), counts.items()), trouble)
    answers = control.revoke(list(ids), terminate=terminate, signal=signal)
    trouble = "" if set(answers.values()) - {"too_late"} else "none of these lives"
    return Report(answers, table(("id", "answer"), answers.items()), trouble)


def _report(replies: Replies, trouble: str, columns: Sequence[str]) -> Report:
    parts = [_part(name, answer, columns) for name, answer in sorted(replies.answers.items())]
    parts += [f"{cell(name)}: {reason}" for name, reason in sorted(replies.missing.items())]
    return Report({"answers": replies.answers, "missing": replies.missing}, "\n".join(parts), trouble)


def _part(name: str, answer: Any, columns: Sequence[str]) -> str:
    """Write one worker's answer under its name."""
    match answer:
        case {"ok": text} | {"error": text} if len(answer) == 1:
            return f"{cell(name)}: {'error: ' if 'error' in answer else ''}{cell(text)}"
        case _ if not answer:
            return f"{cell(name)}: idle" if columns else f"{cell(name)}: none"
        case dict():
            return f"{cell(name)}:\n{indented(_pairs(answer))}"
        case [dict(), *_] if columns:
            rows = [{**facts, **facts.get("request", {})} for facts in answer]
            shown = [[row.get(column) for column in columns] for row in rows]
            return f"{cell(name)}: {len(rows)}\n{indented(table(columns, shown))}"
        case _:
            return f"{cell(name)}: {len(answer)}\n{indented(_lines(answer))}"


def _pairs(answer: Mapping[str, Any]) -> str:
    flat = []
    for name, value in answer.items():
        inner = value.items() if isinstance(value, dict) and value else [("", value)]
        flat += [(f"{name}.{key}" if key else name, member) for key, member in inner]
    width = max(len(cell(name)) for name, _ in flat)
    return "\n".join(f"{cell(name).ljust(width)}  {cell(value)}" for name, value in flat)


def _lines(answer: Sequence[Any]) -> str:
    return "\n".join(cell(member) for member in answer)
