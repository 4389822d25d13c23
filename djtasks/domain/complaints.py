"""What is wrong with a value of a setting, in words, or None: one small rule for each kind of value."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import Any

from djtasks.domain.identifiers import check_queue_name

Complaint = Callable[[Any], str | None]
OF_A_TASK = ("task_id", "task_name", "attempt")


def flag(value: Any) -> str | None:
    """Accept True and False."""
    return None if isinstance(value, bool) else "expected True or False"


def number(least: float, *, whole: bool = False, optional: bool = False) -> Complaint:
    """Accept numbers from ``least``, and None where the number is optional."""
    kind = int if whole else (int, float)
    wanted = f"expected {'an int' if whole else 'a number'} of at least {least:g}{' or None' if optional else ''}"

    def complaint(value: Any) -> str | None:
        if value is None and optional:
            return None
        return None if isinstance(value, kind) and not isinstance(value, bool) and least <= value < inf else wanted

    return complaint


def choice(*choices: Any) -> Complaint:
    """Accept one of these."""
    wanted = f"expected one of {', '.join(map(repr, choices))}"
    # Types are compared, too, since 1 == True.
    return lambda value: None if any(type(value) is type(choice) and value == choice for choice in choices) else wanted


def accepted(check: Callable[[Any], object], *, optional: bool = False) -> Complaint:
    """Accept what a check lets pass."""

    def complaint(value: Any) -> str | None:
        try:
            if value is not None or not optional:
                check(value)
        except (TypeError, ValueError) as error:
            return str(error)
        return None

    return complaint


def check_queues(value: Any) -> None:
    """Raise for what is neither a list of queue names nor None."""
    if value is None:
        return
    if not isinstance(value, (list, tuple)) or not value:
        raise TypeError("expected a list of queue names, or None for every queue")
    for name in value:
        check_queue_name(name)


def check_modules(value: Any) -> None:
    """Raise for what is no list of names of modules."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) and name for name in value):
        raise TypeError("expected a list of names of modules")


def check_alias(value: Any) -> None:
    """Raise for what cannot be an alias of a database."""
    if not isinstance(value, str) or not value:
        raise TypeError("expected an alias of DATABASES")


def check_duration(value: Any) -> None:
    """Raise for what is no duration."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if number(0, optional=True)(seconds):
        raise TypeError("expected a number of seconds, a timedelta, or None to keep results for ever")


def check_log_format(value: Any) -> None:
    """Raise for what is neither "json" nor a format of lines with fields that a record of the log has."""
    check_text(value)
    fields = {**vars(logging.makeLogRecord({})), **dict.fromkeys(("message", "asctime", *OF_A_TASK), "")}
    try:
        value % fields
    except KeyError as error:
        raise ValueError(f"a line of the log has no field {error}") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected a format such as '%(levelname)s %(message)s', or 'json': {error}") from None


def check_text(value: Any) -> None:
    """Raise for what is no text."""
    if not isinstance(value, str) or not value:
        raise TypeError("expected a text")
