"""What is sent along with PostgreSQL's statements: a column of many rows travels as one array literal.

psycopg can write arrays, too, but looks at each element with regular expressions: that took longer than the statement.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import DataError

from djtasks.broker.vendors.errors import unencodable_refused
from djtasks.domain.messages import Demand, Mark, NewMessage, Token
from djtasks.domain.outcomes import Ending, Released, Retry, Settlement
from djtasks.domain.workflows import Edge

Parameters = dict[str, Any]


def of_messages(
    messages: Sequence[NewMessage], chosen: Sequence[str] | None = None
) -> tuple[tuple[str, ...], Parameters]:
    """Give the columns in which messages differ, and the parameters of ``insert_many`` for these.

    Any id may be taken, or only those ``chosen``.
    """
    columns = dict(zip(NewMessage._fields, zip(*messages, strict=True), strict=True))
    parameters: Parameters = dict(zip(NewMessage._fields, messages[0], strict=True))
    differing = ("id", *(name for name, each in columns.items() if name != "id" and each.count(each[0]) < len(each)))
    for name in differing:
        write = texts if name in ("task", "args", "kwargs", "queue", "options", "inputs") else plain
        parameters[name] = write(columns[name])
    parameters["chosen"] = parameters["id"] if chosen is None else plain(chosen)
    return differing, parameters


def of_edges(edges: Sequence[Edge]) -> Parameters:
    """Give the parameters of INSERT_EDGES."""
    messages, upstreams, positions, conditions = zip(*edges, strict=True)
    return {
        "message": plain(messages),
        "upstream": plain(upstreams),
        "position": plain(positions),
        "on": plain(conditions),
    }


def of_tokens(tokens: Collection[Token]) -> Parameters:
    """Give the parameters of all statements that look for tokens; in order, so that nobody locks crosswise."""
    ordered = sorted(tokens)
    return {"id": plain([token.id for token in ordered]), "deliveries": plain([token.deliveries for token in ordered])}


def of_begins(begin: Sequence[tuple[Token, bool]]) -> Parameters:
    """Give the parameters of BEGIN."""
    return {**of_tokens([token for token, _ in begin]), "late": plain([late for _, late in sorted(begin)])}


def of_notes(notes: Mapping[Token, str]) -> Parameters:
    """Give the parameters of NOTE."""
    return {**of_tokens(notes), "meta": texts([notes[token] for token in sorted(notes)])}


def of_endings(endings: Sequence[Ending], hostname: str, retention: float | None) -> Parameters:
    """Give the parameters of END, for endings that are in the order of their tokens."""
    tokens, states, values, errors, started, fates = zip(*endings, strict=True)
    return {
        **of_tokens(tokens),
        "state": texts(states),
        "value": texts(values),
        "error": texts([error and error + "\n" for error in errors]),
        "started_at": _microseconds(started),
        "fate": plain(fates),
        "hostname": hostname,
        "retention": retention,
    }


def of_successes(settlements: Sequence[Settlement], hostname: str, retention: float | None) -> Parameters:
    """Give the parameters of END_SUCCESSES, for settlements that are in the order of their tokens."""
    tokens, outcomes, started, _ = zip(*settlements, strict=True)
    return {
        **of_tokens(tokens),
        "value": texts([outcome.value for outcome in outcomes]),
        "started_at": _microseconds(started),
        "hostname": hostname,
        "retention": retention,
    }


def _microseconds(moments: Iterable[float | None]) -> str:
    """Write moments: a fraction would take longer to write, and to read."""
    return plain([None if moment is None else int(moment * 1e6) for moment in moments])


def of_put_backs(settlements: Sequence[Settlement]) -> Parameters:
    """Give the parameters of PUT_BACK, for settlements that are in the order of their tokens."""
    outcomes = [settlement.outcome for settlement in settlements]
    errors = [getattr(outcome, "error", "") for outcome in outcomes]
    retries = [outcome if isinstance(outcome, Retry) else None for outcome in outcomes]
    return {
        **of_tokens([settlement.token for settlement in settlements]),
        "retry": plain([int(retry is not None) for retry in retries]),
        "loss": plain([int(isinstance(outcome, Released) and outcome.loss) for outcome in outcomes]),
        "error": texts([error and error + "\n" for error in errors]),
        "delay": plain([_delay_of(outcome) for outcome in outcomes]),
        "due_at": plain([retry and retry.due_at for retry in retries]),
        "args": texts([retry and retry.args for retry in retries]),
        "kwargs": texts([retry and retry.kwargs for retry in retries]),
        "queue": texts([retry and retry.queue for retry in retries]),
        "priority": plain([retry and retry.priority for retry in retries]),
    }


def _delay_of(outcome: object) -> float | None:
    if isinstance(outcome, Retry):
        return outcome.delay
    return outcome.delay or None if isinstance(outcome, Released) else None


def of_demand(demand: Demand) -> Parameters:
    """Give the parameters of RESERVE_FROM_START, or with marks those of RESERVE_FROM_MARKS."""
    parameters = demand._asdict()
    marks = parameters.pop("marks")
    return parameters | (_of_queues(demand) if marks is None else _of_marks(marks))


def of_choice(demand: Demand) -> Parameters:
    """Give the parameters of RESERVE_CHOSEN, or without a limit those of IS_READY."""
    chosen: Parameters = {"only": texts(demand.only) if demand.only else None, "without": texts(demand.without)}
    if not demand.limit:
        chosen["ageing"] = 0.0
    return demand._asdict() | chosen | _of_queues(demand) | _of_marks(demand.marks or ())


def _of_queues(demand: Demand) -> Parameters:
    return {"queues": None if demand.queues is None else texts(demand.queues), "excluded": texts(demand.excluded)}


def _of_marks(marks: Sequence[Mark]) -> Parameters:
    queues, priorities, due, ids = zip(*marks, strict=True) if marks else ((), (), (), ())
    return {
        "mark_queues": texts(queues),
        "mark_priorities": plain(priorities),
        "mark_due": plain(due),
        "mark_ids": plain(ids),
    }


def plain(values: Iterable[object]) -> str:
    """Write an array of ids, numbers or booleans."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def texts(values: Sequence[str | None]) -> str:
    """Write an array of texts; raise DataError for one that no text column can hold."""
    if not values:
        return "{}"
    # NUL stands between the elements, since none may contain it, and "\1" alone for what is missing.
    joined = "\0".join(["\1" if value is None else value for value in values])
    if joined.count("\0") >= len(values):
        raise DataError("a text cannot contain NUL (0x00) characters")
    with unencodable_refused():
        joined.encode()
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'{{"{escaped}"}}'.replace('"\1"', "NULL")
