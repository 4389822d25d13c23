"""Rules are kept as texts, and made of them again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from djtasks.domain.schedules.crontabs import crontab
from djtasks.domain.schedules.intervals import every
from djtasks.domain.schedules.moments import clocked
from djtasks.domain.schedules.rules import Rule
from djtasks.domain.schedules.sun import solar
from djtasks.domain.schedules.texts import rule_of


@pytest.mark.parametrize(
    ("rule", "kind", "expression"),
    [
        (crontab("*/5", "8-18", "mon-fri", tz="Europe/Paris"), "crontab", "*/5 8-18 * * mon-fri"),
        (crontab(0, 0, 7, 13, day_or=True), "cron", "0 0 13 * 7"),
        (every(90), "interval", "1m30s"),
        (every(days=2, relative=True, tz="Asia/Tokyo"), "interval", "2d relative"),
        (clocked(datetime(2026, 10, 25, 2, 30), tz="Europe/Paris"), "clocked", "2026-10-25T02:30:00"),
        (clocked(datetime(2026, 10, 25, 2, 30, tzinfo=UTC)), "clocked", "2026-10-25T02:30:00+00:00"),
        (solar("sunrise", 48.8566, 2.3522), "solar", "sunrise 48.8566 2.3522"),
    ],
)
def test_text_makes_the_rule_again(rule: Rule, kind: str, expression: str) -> None:
    assert (rule.kind, rule.expression) == (kind, expression)
    assert rule_of(kind, expression, rule.timezone) == rule


def test_fold_is_that_of_the_text() -> None:
    assert rule_of("crontab", "30 2 * * *", "Europe/Paris", "both") == crontab(30, 2, tz="Europe/Paris", fold="both")


def test_rule_without_a_zone_reads_in_utc() -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    for rule in (rule_of("crontab", "0 12 * * *", ""), rule_of("clocked", "2026-05-01T12:00", "")):
        assert rule.timezone == ""
        assert rule.next_after(moment, moment) == moment + timedelta(hours=12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("yearly", "*", "UTC"), "no kind 'yearly'"),
        (("crontab", "60 * * * *", "UTC"), "minute: 60 is not from 0 to 59"),
        (("crontab", "* * * * *", "Mars/X"), "unknown time zone 'Mars/X'"),
        (("crontab", "* * * * *", "UTC", "second"), "'first' or 'both'"),
        (("interval", "30s", "UTC", "second"), "'first' or 'both'"),
        (("crontab", "* " * 200, "UTC"), "256 characters"),
        (("interval", "soon", "UTC"), "'soon' is no interval"),
        (("clocked", "tomorrow", "UTC"), "'tomorrow' is no moment"),
        (("solar", "moonrise 1 2", "UTC"), "no event 'moonrise'"),
        ((None, "* * * * *", "UTC"), "kind of a schedule is a text"),
        (("crontab", 5, "UTC"), "expression of a schedule is a text"),
        (("crontab", ["*"], "UTC"), "expression of a schedule is a text"),
        (("crontab", "* * * * *", None), "timezone of a schedule is a text"),
        (("crontab", "* * * * *", "UTC", 1), "fold of a schedule is a text"),
    ],
)
def test_what_cannot_be_read_is_named(given: tuple[Any, ...], message: str) -> None:
    """D5, D10."""
    with pytest.raises(ValueError, match=message):
        rule_of(*given)
