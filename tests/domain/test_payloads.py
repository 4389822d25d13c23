"""What goes into a row comes out of it, or is refused with the path and the fix; nothing else happens."""

from __future__ import annotations

import json
import string
import sys
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.http import QueryDict
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from djtasks.domain import payloads
from djtasks.domain.payloads import decode, encode, printable
from djtasks.exceptions import DecodeError, EncodeError


@pytest.fixture(scope="module", params=["orjson", "json"], autouse=True)
def codec(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run everything with orjson and without it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payloads, "orjson", pytest.importorskip("orjson") if request.param == "orjson" else None)
        yield request.param


class Color(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Shape(Enum):
    ROUND = "round"


class Broken(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


Point = namedtuple("Point", "x y")

PARIS = ZoneInfo("Europe/Paris")
UNCHANGED: list[Any] = [
    *(None, True, False, 0, -1, 1.5, -0.0, 1e300, 1e22, "", "text", "héé ☃ 😀", "\x01\x7f\u2028", "\\u0000", "$100"),
    *(2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**4299, -(10**4299)),
    *([], {}, [[]], {"a": {"b": [1, {"c": None}]}}, {"": 1}, {"odd key": 1}),
    *(datetime(2026, 1, 31, 12, 30, 1, 5), datetime(2026, 1, 31, tzinfo=UTC), datetime.min, datetime.max),
    *(datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), date.min, date.max),
    *(time(1, 2, 3, 4), time(1, tzinfo=UTC), timedelta.min, timedelta.max, timedelta(microseconds=1), timedelta()),
    *(Decimal("1.10"), Decimal("-0"), Decimal("1E+999"), uuid.UUID(int=5), b"", b"\x00\xff", set(), frozenset()),
    *({1, "a", None}, frozenset({b"x"}), {(1, (2, "3")), frozenset({4})}, [{date(2026, 1, 1)}]),
    *(
        {"$date": "2026-01-31"},
        {"$$date": 1},
        {"$": {"$": {"$$$": 2}}},
        {"$a": 1, "$b": 2},
        {"$set": {1}},
        {"a": {"$x": 1}},
    ),
]


@pytest.mark.parametrize("value", UNCHANGED, ids=lambda value: type(value).__name__)
def test_what_goes_in_comes_out(value: Any) -> None:
    found = decode(encode(value, where="args"))
    assert found == value
    assert repr(found) == repr(value) or isinstance(value, (set, frozenset))
    assert decode(encode(value, where="args").encode()) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({Color.RED: Color.RED}, {"red": "red"}),
        ([Size.BIG], [3]),
        (mark_safe("<b>"), "<b>"),
        (gettext_lazy("Tasks"), "Tasks"),
        (datetime(2026, 7, 1, tzinfo=PARIS), datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_what_has_no_json_form_of_its_own_becomes_plain(value: Any, expected: Any) -> None:
    found = decode(encode(value, where="args"))
    assert (found, type(found)) == (expected, type(expected))


def test_text_is_compact_and_the_same_for_equal_sets() -> None:
    assert encode({"a": [1, 2.5, "é"]}, where="args") == '{"a":[1,2.5,"é"]}'
    assert encode({"b", "c", "a"}, where="args") == '{"$set":["a","b","c"]}'
    assert encode({"$date": 1}, where="args") == '{"$$date":1}'


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def cycle(width: int) -> list[Any]:
    value: list[Any] = []
    value.extend([value] * width)
    return value


REFUSED = [
    ({"user": {"tags": [0, 1, 2, "a\0b"]}}, "it.user.tags[3] holds a NUL", "replace"),
    ({"a\0": 1}, "it['a\\x00'] holds a NUL", "replace"),
    (["\ud800"], "it[0] holds a lone surrogate", "encode"),
    ({"\udfff": 1}, "it['\\udfff'] holds a lone surrogate", "encode"),
    (float("nan"), "it is nan", "None"),
    ([1, None, float("inf")], "it[2] is inf", "None"),
    ({"x": {"y": -float("inf")}}, "it.x.y is -inf", "None"),
    ({"x": {1: "a"}}, "it.x has the key 1 of type int", "str keys"),
    ({None: 1}, "it has the key None of type NoneType", "str keys"),
    ([{True: 1}], "it[0] has the key True of type bool", "str keys"),
    ({"a": {(1, 2): 1}}, "it.a has a key of type tuple", "list of pairs"),
    ([10**4300], "it[0] is an integer of more than 4300 digits", "bytes"),
    ([Shape.ROUND], "it[0] is a member of the enum Shape", "value"),
    ({"odd key": Group(name="x")}, "it['odd key'] is a model instance (Group)", "primary key"),
    ([SimpleLazyObject(lambda: Group(name="x"))], "it[0] is a model instance (Group)", "primary key"),
    ([{object()}], "it[0]{} is of type builtins.object", "plain data"),
    ([iter([])], "it[0] is of type builtins.list_iterator", "plain data"),
    (bytearray(b"x"), "it is of type builtins.bytearray", "plain data"),
    (complex(1), "it is of type builtins.complex", "plain data"),
    (QueryDict("a=1&a=2"), "it keeps several values per key", "lists()"),
    ([time(1, tzinfo=PARIS)], "it[0] is a time whose offset depends on the date", "naive"),
    (Broken(a=1), "it cannot be read: RuntimeError", "plain data"),
    (nested(101), f"it{'[0]' * 100} is nested deeper than 100 levels", "flatten"),
    (nested(100_000), "is nested deeper than 100 levels", "flatten"),
    (cycle(1), "is nested deeper than 100 levels", "flatten"),
    (cycle(3), "is nested deeper than 100 levels", "flatten"),
]


@pytest.mark.parametrize(
    ("value", "what", "fix"), REFUSED, ids=lambda value: ascii(value)[:30] if isinstance(value, str) else ""
)
def test_what_cannot_be_stored_is_refused_with_its_path_and_the_fix(value: Any, what: str, fix: str) -> None:
    with pytest.raises(EncodeError) as refusal:
        encode(value, where="it")
    assert what in str(refusal.value)
    assert fix in str(refusal.value).partition("; ")[2]
    str(refusal.value).encode()


def test_depth_up_to_the_limit_is_stored() -> None:
    assert decode(encode(nested(100), where="args")) == nested(100)
    assert decode(encode(nested(300), where="args", max_depth=300)) == nested(300)
    assert decode(encode([[[1.5]]], where="args", max_depth=3)) == [[[1.5]]]
    with pytest.raises(EncodeError, match="deeper than 2 levels"):
        encode({"a": [{date.min}]}, where="args", max_depth=2)


def test_a_deep_caller_meets_no_recursion_error() -> None:
    def deeper(levels: int) -> None:
        if levels:
            return deeper(levels - 1)
        with pytest.raises(EncodeError):
            encode([nested(100_000), {1}], where="args", max_depth=1_000_000)
        with pytest.raises(DecodeError):
            decode("[" * 100_000)
        with pytest.raises(DecodeError):
            decode('{"$set":' * 100_000)

    deeper(sys.getrecursionlimit() // 2)


def test_size_counts_bytes_and_names_the_setting() -> None:
    assert encode("é" * 49, where="args", max_bytes=100) == '"' + "é" * 49 + '"'
    with pytest.raises(EncodeError, match=r"args takes 102 bytes, and MAX_PAYLOAD_BYTES allows 100; store"):
        encode("é" * 50, where="args", max_bytes=100)
    with pytest.raises(EncodeError, match=r"args takes 1,\d\d\d bytes, and MAX_PAYLOAD_BYTES allows 1,000"):
        encode([date.min] * 50, where="args", max_bytes=1000)


def test_few_objects_that_would_make_a_huge_text_are_refused_before_it_is_made() -> None:
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    with pytest.raises(EncodeError, match="holds more than 1,000 values, and MAX_PAYLOAD_BYTES"):
        encode(value, where="args", max_bytes=1000)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "{",
            "[1,]",
            "NaN",
            "[Infinity]",
            "1e400",
            "'a'",
            "\ufeff1",
            '"\x01"',
            '"\0"',
            '"\\ud800"',
            "\ud800",
        ),
        *(b"\xff", b"1\x00", b"\xff\xfe1\x00", "1" * 5000, "[" * 200_000 + "]" * 200_000, '{"$set":["\\udfff"]}'),
        *(
            '{"$nope":1}',
            '{"$":1}',
            '{"$date":1}',
            '{"$date":"x"}',
            '{"$datetime":{"$date":"2026-01-01"}}',
            '{"$int":5}',
        ),
        *('{"$int":"x"}', '{"$uuid":"x"}', '{"$uuid":null}', '{"$decimal":"x"}', '{"$decimal":1.5}', '{"$bytes":"*"}'),
        *('{"$bytes":"é"}', '{"$timedelta":[1e300]}', '{"$timedelta":["x"]}', '{"$set":1}', '{"$set":[{"a":1}]}'),
        *('{"$frozenset":[[{}]]}', '{"$time":"25:00"}', '{"$date":"' + "x" * 5000 + '"}'),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_what_cannot_be_read_is_a_decode_error(text: str | bytes) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode(text)
    assert len(str(refusal.value)) < 400


def test_a_text_from_elsewhere_means_the_same_with_both_codecs() -> None:
    assert decode(' { "$date" : "2026-01-31" } ') == date(2026, 1, 31)
    assert decode("[123456789012345678901234567890, -9223372036854775809]") == [
        123456789012345678901234567890,
        -(2**63) - 1,
    ]
    assert decode('["\\ud83d\\ude00", "1e5", 1E5, "\\\\ud800"]') == ["😀", "1e5", 1e5, "\\ud800"]


def stored(value: Any) -> Any:
    """What a value should come out as: tuples outside sets become lists."""
    if isinstance(value, dict):
        return {key: stored(item) for key, item in value.items()}
    return [stored(item) for item in value] if isinstance(value, (list, tuple)) else value


few = partial(st.lists, max_size=3)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
keys = texts | st.sampled_from(["$", "$$", "$date", "$set", "$$int", "$nope"])
zones = st.none() | st.integers(-82_800, 82_800).map(lambda seconds: timezone(timedelta(seconds=seconds)))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.binary(max_size=8)
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.times(timezones=zones)
    | st.datetimes(timezones=zones)
    | st.timedeltas()
)
members = st.recursive(scalars, lambda inner: few(inner).map(tuple) | few(inner).map(frozenset))
values = st.recursive(
    scalars | few(members).map(set),
    lambda inner: few(inner) | few(inner).map(tuple) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_any_storable_value_survives(value: Any) -> None:
    text = encode(value, where="args")
    assert decode(text) == stored(value)
    assert encode(decode(text), where="args") == text


@given(value=values)
def test_both_codecs_mean_the_same(codec: str, value: Any) -> None:
    text = encode(value, where="args")
    other = pytest.importorskip("orjson") if codec == "json" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payloads, "orjson", other)
        assert decode(text) == decode(encode(value, where="args")) == stored(value)


anything = st.recursive(
    scalars
    | st.text()
    | st.floats()
    | st.decimals()
    | st.complex_numbers()
    | st.sampled_from([*Shape, *Color, object(), len]),
    lambda inner: few(inner) | st.dictionaries(st.text() | scalars, inner, max_size=3),
    max_leaves=8,
)


@given(anything)
def test_encode_gives_a_text_that_databases_take_or_an_encode_error(value: Any) -> None:
    try:
        text = encode(value, where="args", max_bytes=500)
    except EncodeError as error:
        assert str(error).startswith("args")
    else:
        assert len(text.encode()) <= 500
        assert "\0" not in text
        assert not _holds_nul(json.loads(text))
        decode(text)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_nul, value)) or any(map(_holds_nul, value.values()))
    return "\0" in value if isinstance(value, str) else isinstance(value, list) and any(map(_holds_nul, value))


tagged = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["2026-01-01", "1.5", "AAAA"]),
    lambda inner: few(inner) | st.dictionaries(st.sampled_from([*payloads._READERS, "$$", "a"]), inner, max_size=2),
    max_leaves=6,
)


@given(st.text() | st.binary() | st.text(string.printable) | tagged.map(json.dumps))
def test_decode_gives_a_value_or_a_decode_error(text: str | bytes) -> None:
    try:
        decode(text)
    except DecodeError as error:
        assert str(error).isprintable()


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Lu"])), st.none() | st.integers(0, 200))
def test_printable_text_suits_every_database(text: str, max_bytes: int | None) -> None:
    found = printable(text, max_bytes)
    assert "\0" not in found
    assert max_bytes is None or len(found.encode()) <= max_bytes


def test_printable_shows_what_it_replaced_and_how_much_it_left_out() -> None:
    assert printable("héé\n\tfine") == "héé\n\tfine"
    assert printable("a\0b\ud800c") == "a\\x00b\\ud800c"
    shortened = printable("head " + "é" * 5000 + " tail", 200)
    assert shortened.startswith("head é")
    assert shortened.endswith("é tail")
    kept = shortened.count("é")
    assert f"\n… {5000 - kept:,} characters left out …\n" in shortened
    assert 180 < len(shortened.encode()) <= 200
