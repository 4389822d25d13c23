"""The vocabulary of one field of a crontab: what people write there, and the numbers that it means (BEAT-4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

Given = int | str | Iterable[int | str]

LONGEST_TEXT = 256

_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]+))?", re.ASCII)


@dataclass(frozen=True, eq=False)
class Field:
    """One of the five fields: its name, the numbers that fit it, and the names that stand for them."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    # Unix cron has a second number for Sunday: 7 means 0.
    one_more: bool = False

    def text_of(self, given: Given) -> str:
        """Return in canonical text what a field was given; raise TypeError or ValueError for what cannot be meant."""
        if isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
            parts = {self._read(self._text(each)) for each in given}
            # A set comes in any order, and equal ones must make equal texts.
            text = ",".join(text for text, _ in sorted(parts, key=lambda part: (min(part[1]), part[0])))
        else:
            text, _ = self._read(self._text(given))
        if not text:
            raise ValueError(f"{self.name} is empty; write * for every value")
        return text

    def values_of(self, text: str) -> frozenset[int]:
        """Return the numbers that a text means."""
        return _values_of(self, text)

    def is_full(self, values: frozenset[int]) -> bool:
        return len(values) == self.high - self.low + 1

    def _text(self, given: object) -> str:
        if isinstance(given, bool) or not isinstance(given, (int, str)):
            raise TypeError(f"{self.name} is a number, a text or a list of these, not {given!r:.80}")
        return str(given)

    def _read(self, text: str) -> tuple[str, frozenset[int]]:
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"{self.name} has at most {LONGEST_TEXT} characters, unlike {text:.40}…")
        parts = [self._part(part.strip()) for part in text.split(",")]
        return ",".join(part for part, _ in parts), frozenset(value for _, values in parts for value in values)

    def _part(self, part: str) -> tuple[str, Iterable[int]]:
        """Return what stands between two commas in canonical text, and the numbers that it means."""
        match = _PART.fullmatch(part)
        if not match:
            raise self._misread(part)
        first, last, step = match.group("first", "last", "step")
        if first and not last and step:
            # Some read it as from there to the end, some as that value alone.
            raise ValueError(
                f"{self.name}: {part!r:.80} has a step but no range; write {first:.80}-{self.high}/{step:.80}"
            )
        if step and not int(step):
            raise ValueError(f"{self.name}: {part!r:.80} has a step of 0; the least is 1")
        if not first:
            text, values = "*", [*range(self.low, self.high + 1)]
        elif not last:
            text, values = self._canonical(first), [self._number(first)]
        else:
            text = f"{self._canonical(first)}-{self._canonical(last)}"
            values = self._range(self._number(first), self._number(last))
        if step:
            text, values = f"{text}/{int(step)}", values[:: int(step)]
        return text, map(self._folded, values)

    def _range(self, first: int, last: int) -> list[int]:
        if first > last:
            first = self._folded(first)
        if first > last:
            return [*range(first, self.high + 1), *range(self.low, last + 1)]
        return [*range(first, last + 1)]

    def _folded(self, number: int) -> int:
        return self.low if number > self.high else number

    def _number(self, word: str) -> int:
        if not word.isdigit():
            for number, name in enumerate(self.names, self.low):
                if len(word) >= 3 and name.startswith(word.lower()):
                    return number
            raise self._misread(word)
        if self.low <= int(word) <= self.high + self.one_more:
            return int(word)
        sunday = "; write 0 or sun" if self.names == _DAYS and int(word) == 7 else ""
        raise ValueError(f"{self.name}: {word:.80} is not from {self.low} to {self.high}{sunday}")

    def _canonical(self, word: str) -> str:
        return str(int(word)) if word.isdigit() else word[:3].lower()

    def _misread(self, text: str) -> ValueError:
        names = f" or {self.names[0][:3]} to {self.names[-1][:3]}" if self.names else ""
        return ValueError(
            f"{self.name}: {text!r:.80} cannot be read; write *, */n, a, a-b, a-b/n, or several of these with commas "
            f"between, where a and b are {self.low} to {self.high}{names}"
        )


# Ten thousand schedules write few different fields: they share what they mean.
@lru_cache(maxsize=1024)
def _values_of(field: Field, text: str) -> frozenset[int]:
    return field._read(text)[1]


_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day_of_month", 1, 31)
MONTH_OF_YEAR = Field("month_of_year", 1, 12, _MONTHS)
DAY_OF_WEEK = Field("day_of_week", 0, 6, _DAYS)
UNIX_DAY_OF_WEEK = Field("day_of_week", 0, 6, _DAYS, one_more=True)
