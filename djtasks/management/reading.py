"""Values of the command line: what cannot be read is refused by the parser, with the reason."""

from __future__ import annotations

from argparse import ArgumentTypeError

from djtasks.domain.identifiers import check_queue_name
from djtasks.domain.pools import check_autoscale, pool_and_slots, pool_named
from djtasks.exceptions import ImproperlyConfigured


def queue_names(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of queue names."""
    try:
        return tuple(check_queue_name(name.strip()) for name in text.split(",") if name.strip()) or _no_queue()
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def pool_name(text: str) -> str:
    """Read the name of a pool."""
    try:
        return pool_named(text)
    except ImproperlyConfigured as error:
        raise ArgumentTypeError(str(error)) from None


def _no_queue() -> tuple[str, ...]:
    raise ArgumentTypeError("name at least one queue")


def bounds(text: str) -> tuple[int, int]:
    """Read the most slots and the least, which is one where it is left out."""
    most, comma, least = text.partition(",")
    pair = positive(most), positive(least) if comma else 1
    try:
        check_autoscale(pair)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return pair


def lane(text: str) -> tuple[str, str, int]:
    """Read ``media=threads:8``."""
    queue, _, pool = text.partition("=")
    try:
        return check_queue_name(queue), *pool_and_slots(pool)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """Read a whole number from one."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def limit(text: str) -> float:
    """Read a time limit: a number of seconds above zero."""
    if not (value := seconds(text)):
        raise ArgumentTypeError("a limit of 0 seconds leaves no time")
    return value


def seconds(text: str) -> float:
    """Read a number of seconds from zero."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
