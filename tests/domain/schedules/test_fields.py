"""What may stand in one field of a crontab."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from djtasks.domain.schedules.fields import (
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    HOUR,
    MINUTE,
    MONTH_OF_YEAR,
    UNIX_DAY_OF_WEEK,
    Field,
    Given,
)


@pytest.mark.parametrize(
    ("field", "given", "text", "values"),
    [
        (MINUTE, 7, "7", {7}),
        (MINUTE, "7", "7", {7}),
        (MINUTE, "07", "7", {7}),
        (MINUTE, [30, 0], "0,30", {0, 30}),
        (MINUTE, {45, 15, 30, 0}, "0,15,30,45", {0, 15, 30, 45}),
        (MINUTE, range(0, 60, 20), "0,20,40", {0, 20, 40}),
        (MINUTE, (n for n in (1, 2, 1)), "1,2", {1, 2}),
        (MINUTE, "*", "*", set(range(60))),
        (MINUTE, "*/15", "*/15", {0, 15, 30, 45}),
        (MINUTE, "*/70", "*/70", {0}),
        (MINUTE, "1,13,30-45,50-59/2", "1,13,30-45,50-59/2", {1, 13, *range(30, 46), 50, 52, 54, 56, 58}),
        (MINUTE, " 5, 10-12 ", "5,10-12", {5, 10, 11, 12}),
        (HOUR, "*/3", "*/3", {0, 3, 6, 9, 12, 15, 18, 21}),
        (HOUR, "0,8-17/2", "0,8-17/2", {0, 8, 10, 12, 14, 16}),
        (HOUR, "22-3", "22-3", {22, 23, 0, 1, 2, 3}),
        (HOUR, "22-3/2", "22-3/2", {22, 0, 2}),
        (HOUR, "5-5", "5-5", {5}),
        (DAY_OF_MONTH, "2-30/2", "2-30/2", set(range(2, 31, 2))),
        (DAY_OF_MONTH, "1-7,15-21", "1-7,15-21", {*range(1, 8), *range(15, 22)}),
        (DAY_OF_MONTH, "*/10", "*/10", {1, 11, 21, 31}),
        (DAY_OF_MONTH, "30-2", "30-2", {30, 31, 1, 2}),
        (MONTH_OF_YEAR, "*/3", "*/3", {1, 4, 7, 10}),
        (MONTH_OF_YEAR, "2-12/2", "2-12/2", {2, 4, 6, 8, 10, 12}),
        (MONTH_OF_YEAR, "nov-feb", "nov-feb", {11, 12, 1, 2}),
        (MONTH_OF_YEAR, "January,Sept,DEC", "jan,sep,dec", {1, 9, 12}),
        (DAY_OF_WEEK, "mon-fri", "mon-fri", {1, 2, 3, 4, 5}),
        (DAY_OF_WEEK, "sat-mon", "sat-mon", {6, 0, 1}),
        (DAY_OF_WEEK, "Sunday", "sun", {0}),
        (DAY_OF_WEEK, "tues,THURS", "tue,thu", {2, 4}),
        (DAY_OF_WEEK, "*/2", "*/2", {0, 2, 4, 6}),
        (DAY_OF_WEEK, ["mon-wed", 6, "sun"], "sun,mon-wed,6", {0, 1, 2, 3, 6}),
        (DAY_OF_WEEK, {"tue", "mon"}, "mon,tue", {1, 2}),
        (UNIX_DAY_OF_WEEK, 7, "7", {0}),
        (UNIX_DAY_OF_WEEK, "5-7", "5-7", {5, 6, 0}),
        (UNIX_DAY_OF_WEEK, "0-7", "0-7", set(range(7))),
        (UNIX_DAY_OF_WEEK, "1-7/2", "1-7/2", {1, 3, 5, 0}),
        (UNIX_DAY_OF_WEEK, "7-2/2", "7-2/2", {0, 2}),
        (UNIX_DAY_OF_WEEK, "6-1/2", "6-1/2", {6, 1}),
        (UNIX_DAY_OF_WEEK, "7-7", "7-7", {0}),
        (UNIX_DAY_OF_WEEK, "*/7", "*/7", {0}),
    ],
)
def test_field_reads(field: Field, given: Given, text: str, values: set[int]) -> None:
    """BEAT-4."""
    assert field.text_of(given) == text
    assert field.values_of(text) == values
    assert field.text_of(text) == text


@pytest.mark.parametrize(
    ("field", "given", "message"),
    [
        (MINUTE, 60, "minute: 60 is not from 0 to 59$"),
        (MINUTE, "-1", "minute: '-1' cannot be read; write .* 0 to 59$"),
        (MINUTE, -1, "minute: '-1' cannot be read"),
        (MINUTE, [5, 60], "minute: 60 is not"),
        (MINUTE, "59/1", "minute: '59/1' has a step but no range; write 59-59/1"),
        (MINUTE, "5/15", "minute: '5/15' has a step but no range; write 5-59/15"),
        (MINUTE, "*/0", r"minute: '\*/0' has a step of 0; the least is 1"),
        (MINUTE, "1-5/0", "step of 0"),
        (MINUTE, "*/", "cannot be read"),
        (MINUTE, "*/-5", "cannot be read"),
        (MINUTE, "*5", "cannot be read"),
        (MINUTE, "1-2-3", "cannot be read"),
        (MINUTE, "1,,2", "minute: '' cannot be read"),
        (MINUTE, "1_0", "cannot be read"),
        (MINUTE, "٣", "cannot be read"),
        (MINUTE, "", "minute: '' cannot be read"),
        (MINUTE, [], r"minute is empty; write \* for every value"),
        (MINUTE, "mon", "minute: 'mon' cannot be read"),
        (MINUTE, "H", "cannot be read"),
        (MINUTE, "R(0-10)", "cannot be read"),
        (MINUTE, "1," * 128 + "1", "minute has at most 256 characters"),
        (HOUR, 24, "hour: 24 is not from 0 to 23"),
        (DAY_OF_MONTH, 0, "day_of_month: 0 is not from 1 to 31"),
        (DAY_OF_MONTH, "32", "day_of_month: 32 is not"),
        (DAY_OF_MONTH, "L", "day_of_month: 'L' cannot be read"),
        (DAY_OF_MONTH, "15W", "cannot be read"),
        (DAY_OF_MONTH, "?", "cannot be read"),
        (MONTH_OF_YEAR, 13, "month_of_year: 13 is not from 1 to 12$"),
        (MONTH_OF_YEAR, "ja", "month_of_year: 'ja' cannot be read; .* 1 to 12 or jan to dec$"),
        (MONTH_OF_YEAR, "januar-y", "'y' cannot be read"),
        (MONTH_OF_YEAR, "mon", "'mon' cannot be read"),
        (DAY_OF_WEEK, 7, "day_of_week: 7 is not from 0 to 6; write 0 or sun$"),
        (DAY_OF_WEEK, "5-7", "write 0 or sun"),
        (DAY_OF_WEEK, 8, "day_of_week: 8 is not from 0 to 6$"),
        (DAY_OF_WEEK, "6/1", "day_of_week: '6/1' has a step but no range"),
        (DAY_OF_WEEK, "mar", "'mar' cannot be read"),
        (DAY_OF_WEEK, "monkey", "'monkey' cannot be read"),
        (DAY_OF_WEEK, "2#1", "cannot be read"),
        (DAY_OF_WEEK, "5L", "cannot be read"),
        (UNIX_DAY_OF_WEEK, 8, "day_of_week: 8 is not"),
    ],
)
def test_field_refuses(field: Field, given: Given, message: str) -> None:
    """BEAT-4."""
    with pytest.raises(ValueError, match=message):
        field.text_of(given)


@pytest.mark.parametrize("wrap", [lambda given: given, lambda given: [given]])
@pytest.mark.parametrize("given", [None, True, 1.0, b"5"])
def test_field_takes_numbers_and_texts_alone(wrap: Callable[[object], Given], given: object) -> None:
    with pytest.raises(TypeError, match="hour is a number, a text or a list of these"):
        HOUR.text_of(wrap(given))
