"""JSON text for args, kwargs and results, and text that every database takes; nothing read is imported or evaluated.

==============================================  =========================================================
goes in                                         comes out
==============================================  =========================================================
None, bool, int, finite float, str, list, dict  the same
date, time, timedelta, Decimal, UUID, bytes     the same (tagged: ``{"$date": "2026-01-31"}``)
datetime                                        the same moment and offset; the zone's name is lost
set, frozenset                                  the same, also with tuples inside
tuple                                           list
members of str and int enums                    their value
lazy translations, other str, int, float types  plain str, int, float
anything else                                   ``EncodeError``, which names the path and the fix
==============================================  =========================================================

A user's own one-key dict ``{"$name": …}`` is written as ``{"$$name": …}``, so it never reads as a tag.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from types import NoneType
from typing import Any
from uuid import UUID

from django.utils.functional import Promise

from djtasks.exceptions import DecodeError, EncodeError

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]


def encode(value: Any, *, where: str, max_bytes: int | None = None, max_depth: int = 100) -> str:
    """Return the value as compact JSON text, or raise ``EncodeError`` with the path to what cannot be stored."""
    text = (data := _quickly(value, max_bytes, max_depth)).decode()
    # In a str: bytes would first try to read what is looked for as a number, which takes ten times as long.
    if not text or "\\u0000" in text or '{"$' in text or (orjson is None and _has_long_number(text)):
        text = (data := _carefully(value, where, max_bytes, max_depth)).decode()
    if max_bytes is not None and len(data) > max_bytes:
        raise EncodeError(f"{where} takes {len(data):,} bytes{_too_much(max_bytes)}")
    return text


def decode(text: str | bytes) -> Any:
    """Return the value of a text that ``encode`` wrote, or raise ``DecodeError``."""
    try:
        text = text if isinstance(text, str) else text.decode()
        # orjson reads integers past 64 bits as floats, so those go the other way.
        if orjson is not None and '"$' not in text and not _has_long_number(text):
            return orjson.loads(text)
        return _parse(text)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise DecodeError(f"the stored text cannot be read: {type(error).__name__}: {str(error)[:200]}") from error


def printable(text: str, max_bytes: int | None = None) -> str:
    """Return the text as every database takes it: NUL and lone surrogates visible, the middle left out if too long."""
    data = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace")
    if max_bytes is None or len(data) <= max_bytes:
        return data.decode()
    half = max(0, max_bytes - 50) // 2
    head, tail = data[:half].decode(errors="ignore"), data[len(data) - half :].decode(errors="ignore")
    left_out = len(data.decode()) - len(head) - len(tail)
    return f"{head}\n… {left_out:,} characters left out …\n{tail}".encode()[:max_bytes].decode(errors="ignore")


_SAFE = frozenset({NoneType, bool, int, str})
_TEXT = frozenset({str})
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))


def _quickly(value: Any, max_bytes: int | None, max_depth: int) -> bytes:
    """Encode what consists of plain types alone; return nothing if anything calls for a closer look."""
    try:
        return _dump(value) if type(value) in _SAFE or _is_plain(value, max_bytes, max_depth) else b""
    except (RuntimeError, TypeError, ValueError):
        return b""


def _is_plain(value: Any, max_bytes: int | None, max_depth: int) -> bool:
    # Types are compared exactly: orjson would flatten UUIDs, enums and dataclasses.
    level, room = [value], max_bytes or 2**24
    for _ in range(max_depth):
        deeper: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is list or kind is tuple:
                members = item
            elif kind is dict and _TEXT.issuperset(map(type, item)):
                members = item.values()
            elif kind in _SAFE or (kind is float and isfinite(item)):
                continue
            else:
                return False
            room -= len(item)
            if room < 0:
                return False
            deeper += [member for member in members if type(member) not in _SAFE]
        if not deeper:
            return True
        level = deeper
    return False


def _dump(value: Any) -> bytes:
    return _ENCODER.encode(value).encode() if orjson is None else orjson.dumps(value)


_ONE_DIGIT = bytes.maketrans(b"123456789", b"000000000")


def _has_long_number(text: str) -> bool:
    return len(text) >= 19 and b"0" * 19 in text.encode().translate(_ONE_DIGIT)


def _carefully(value: Any, where: str, max_bytes: int | None, max_depth: int) -> bytes:
    try:
        tree = _Walk(where, max_bytes, max_depth).tree(value, None, 0)
        try:
            return _dump(tree)
        except TypeError:
            # orjson gives up at 254 levels, whatever max_depth says.
            return _ENCODER.encode(tree).encode()
    except EncodeError:
        raise
    except Exception as error:
        raise EncodeError(f"{where} cannot be read: {type(error).__name__}; pass plain data instead") from error


# The steps from the value to one of its parts, the last one outermost; None steps into a set.
_Path = tuple[Any, int | str | None] | None
_LARGEST = 10**4300 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Walk:
    """Turns a value into what JSON can hold, and knows the path to what it cannot."""

    def __init__(self, where: str, max_bytes: int | None, max_depth: int) -> None:
        self.where = where
        self.max_bytes = max_bytes
        self.max_depth = max_depth
        self.seen = 0

    def tree(self, value: Any, path: _Path, depth: int) -> Any:
        self.seen += 1
        if self.max_bytes is not None and self.seen > self.max_bytes:
            raise EncodeError(f"{self.where} holds more than {self.max_bytes:,} values{_too_much(self.max_bytes)}")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, str):
            return self.text(str.__str__(value), path)
        if issubclass(kind, int):
            return self.integer(int.__int__(value), path)
        if issubclass(kind, float):
            if not isfinite(value):
                raise self.refusal(path, f"is {float(value)}, which JSON cannot hold", "pass None or a string")
            return float.__float__(value)
        if issubclass(kind, Promise):
            return self.text(str(value), path)
        if issubclass(kind, (dict, list, tuple, set, frozenset)):
            return self.container(value, path, depth + 1)
        if issubclass(kind, time) and value.tzinfo is not None and value.utcoffset() is None:
            raise self.refusal(path, "is a time whose offset depends on the date", "pass a datetime or a naive time")
        for base, tag, write in _WRITERS:
            if issubclass(kind, base):
                return {tag: write(value)}
        raise self.refusal(path, *_reason(value))

    def container(self, value: Any, path: _Path, depth: int) -> Any:
        if depth > self.max_depth:
            raise self.refusal(path, f"is nested deeper than {self.max_depth} levels", "flatten it or pass a key to it")
        if isinstance(value, dict):
            if hasattr(type(value), "lists"):
                raise self.refusal(path, "keeps several values per key, of which JSON keeps one", "use dict(x.lists())")
            branches = {self.key(key, path): self.tree(item, (path, key), depth) for key, item in value.items()}
            if len(branches) == 1 and next(iter(branches)).startswith("$"):
                return {f"${key}": item for key, item in branches.items()}
            return branches
        if isinstance(value, (list, tuple)):
            return [self.tree(item, (path, index), depth) for index, item in enumerate(value)]
        # Sorted, so that equal sets give equal text in every process.
        members = sorted((self.tree(item, (path, None), depth) for item in value), key=_ENCODER.encode)
        return {"$set" if isinstance(value, set) else "$frozenset": members}

    def key(self, key: Any, path: _Path) -> str:
        if not issubclass(type(key), str):
            shown = f"the key {key!r}" if isinstance(key, (int, float, NoneType)) else "a key"
            raise self.refusal(path, f"has {shown} of type {type(key).__name__}", "use str keys or a list of pairs")
        return self.text(str.__str__(key), (path, key))

    def text(self, text: str, path: _Path) -> str:
        if "\0" in text:
            raise self.refusal(path, "holds a NUL character, which databases refuse", 'use .replace("\\0", "")')
        if not text.isascii() and _SURROGATE.search(text):
            raise self.refusal(path, "holds a lone surrogate", 'use .encode("utf-8", "replace").decode()')
        return text

    def integer(self, number: int, path: _Path) -> Any:
        if not -_LARGEST <= number <= _LARGEST:
            raise self.refusal(path, "is an integer of more than 4300 digits", "pass it as bytes or hexadecimal text")
        return number if -(2**63) <= number < 2**64 else {"$int": str(number)}

    def refusal(self, path: _Path, what: str, fix: str) -> EncodeError:
        steps = ""
        while path is not None:
            path, step = path
            steps = _step(step) + steps
        return EncodeError(f"{self.where}{steps} {what}; {fix}")


def _step(step: int | str | None) -> str:
    if isinstance(step, str):
        return f".{step}" if step.isidentifier() and len(step) <= 60 else f"[{step[:60]!r}]"
    return "{}" if step is None else f"[{step}]"


def _too_much(max_bytes: int) -> str:
    return f", and MAX_PAYLOAD_BYTES allows {max_bytes:,}; store the data and pass its key"


def _reason(value: Any) -> tuple[str, str]:
    # __class__ rather than type(): it also tells what a lazy object such as request.user stands for.
    kind = value.__class__
    if hasattr(kind, "_meta") and hasattr(kind, "pk"):
        return f"is a model instance ({kind.__name__})", "pass its primary key and load it in the task"
    if issubclass(kind, Enum):
        return f"is a member of the enum {kind.__name__}", "pass its value"
    name = f"{kind.__module__}.{kind.__qualname__}"
    return f"is of type {name}, which JSON cannot hold", "pass plain data, such as its id, a dict or a string"


_WRITERS: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (datetime, "$datetime", lambda value: value.isoformat()),
    (date, "$date", lambda value: value.isoformat()),
    (time, "$time", lambda value: value.isoformat()),
    (timedelta, "$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    (Decimal, "$decimal", str),
    (UUID, "$uuid", str),
    (bytes, "$bytes", lambda value: b64encode(value).decode()),
)


def _parse(text: str) -> Any:
    if "\\ud" in text.lower():
        # Unlike orjson, json lets lone surrogates pass; encoding its reading finds them.
        _ENCODER.encode(json.loads(text)).encode()
    return _DECODER.decode(text)


def _untagged(found: dict[str, Any]) -> Any:
    key, value = next(iter(found.items()), ("", None))
    if len(found) != 1 or not key.startswith("$"):
        return found
    if key.startswith("$$"):
        return {key[1:]: value}
    if key not in _READERS:
        raise ValueError(f"{key!r} is not a known tag")
    kind, read = _READERS[key]
    if type(value) is not kind:
        raise TypeError(f"{key} holds {type(value).__name__}")
    return read(value)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


_READERS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "$int": (str, int),
    "$datetime": (str, datetime.fromisoformat),
    "$date": (str, date.fromisoformat),
    "$time": (str, time.fromisoformat),
    "$timedelta": (list, lambda parts: timedelta(*parts)),
    "$decimal": (str, Decimal),
    "$uuid": (str, UUID),
    "$bytes": (str, lambda text: b64decode(text, validate=True)),
    "$set": (list, lambda members: set(map(_hashable, members))),
    "$frozenset": (list, lambda members: frozenset(map(_hashable, members))),
}


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


_DECODER = json.JSONDecoder(object_hook=_untagged, parse_float=_finite, parse_constant=_finite)
