"""Rules from the texts that they are kept as."""

from __future__ import annotations

from functools import lru_cache

from djtasks.domain.schedules.crontabs import crontab
from djtasks.domain.schedules.fields import LONGEST_TEXT
from djtasks.domain.schedules.intervals import schedule
from djtasks.domain.schedules.moments import clocked
from djtasks.domain.schedules.rules import CLOCKED, CRON, CRONTAB, FIRST, FOLDS, INTERVAL, KINDS, SOLAR, Rule
from djtasks.domain.schedules.sun import solar

_READERS = {INTERVAL: schedule.from_string, SOLAR: solar.from_string, CLOCKED: clocked.from_string}


def rule_of(kind: str, expression: str, timezone: str, fold: str = FIRST) -> Rule:
    """Return the rule of a kind that a text means in a zone; raise ValueError where it means none."""
    for name, given in (("kind", kind), ("expression", expression), ("timezone", timezone), ("fold", fold)):
        if not isinstance(given, str):
            raise ValueError(f"the {name} of a schedule is a text, not {given!r:.80}")
    return _rule_of(kind, expression, timezone, fold)


@lru_cache(maxsize=16384)
def _rule_of(kind: str, expression: str, timezone: str, fold: str) -> Rule:
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r:.80} of schedule; write one of {', '.join(KINDS)}")
    if fold not in FOLDS:
        raise ValueError(f"fold is {' or '.join(map(repr, FOLDS))}, not {fold!r:.80}")
    if len(expression) > LONGEST_TEXT:
        raise ValueError(f"an expression has at most {LONGEST_TEXT} characters, unlike {expression:.40}…")
    if kind in (CRON, CRONTAB):
        return crontab.from_string(expression, timezone, kind == CRON, fold)
    return _READERS[kind](expression, timezone)
