"""The how-to for schedules says what is: its samples run, and its tables of clocks that change are right."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from djtasks.beat.declared import synchronise
from djtasks.domain.schedules.rules import Rule
from djtasks.domain.schedules.texts import rule_of
from djtasks.models import Schedule
from djtasks.tasks import registry, scheduled
from tests.beat.sentences import row
from tests.tasks_api.test_samples import BLOCK, check, statements

HOW_TO = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text()
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the samples; nothing of it is left afterwards."""
    module = ModuleType("shop.tasks")
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.tasks", module)
    kept = dict(scheduled._declared), dict(registry._tasks), dict(registry._origins)
    yield module
    for known, before in zip((scheduled._declared, registry._tasks, registry._origins), kept, strict=True):
        known.clear()
        known.update(before)


def test_samples_of_schedules_are_true(transactional_db: None, shop: ModuleType, settings: Any) -> None:
    tasks, declared, rows = BLOCK.findall(HOW_TO)
    exec(tasks, vars(shop))  # noqa: S102, it stands in our own how-to
    names: dict[str, Any] = {"__name__": "shop.settings"}
    exec(declared, names)  # noqa: S102
    settings.DJTASKS = {"BEAT_SCHEDULE": names["BEAT_SCHEDULE"]}
    names = {"__name__": "shop.rows", "datetime": datetime, "UTC": UTC}
    for source, is_expression, comment in statements(rows):
        if is_expression and comment:
            check(source, comment, names)
        else:
            exec(source, names)  # noqa: S102
    synchronise()
    assert (row("sweep").expression, row("sweep").args, row("sweep").overlap) == ("30s", [1000], "allow")
    assert (row("shop.tasks.report_of_the_day").queue, row("friday").lifetime) == ("reports", 3600.0)
    assert {schedule.source for schedule in Schedule.objects.all()} == {"", "settings", "code"}
    assert all(schedule.rule for schedule in Schedule.objects.all())


def due_on(rule: Rule, day: date) -> list[str]:
    """Return the slots between 01:00 and 04:00, as the clock of a wall shows them."""
    slot: datetime | None = datetime.combine(day, time(0, 15), PARIS).astimezone(UTC)
    anchor, found = slot, []
    while (slot := rule.next_after(slot, anchor=anchor)) and slot.astimezone(PARIS).date() == day:
        found.append(slot.astimezone(PARIS))
    return [f"{each:%H:%M}{str(each.isoformat())[-6:]}" for each in found if 1 <= each.hour < 4]


def test_tables_of_clocks_that_change_are_right() -> None:
    """D4."""
    table = HOW_TO.partition("In Europe/Paris")[2].partition("With `USE_TZ")[0]
    shown = re.findall(r"^\| (`([^`]+)`(, both)?|every hour from 00:15) \| ([^|]+) \| ([^|]+) \|$", table, re.M)
    assert len(shown) == 7
    for name, crontab, both, *days in shown:
        given = ("crontab", crontab) if crontab else ("interval", "1h")
        rule = rule_of(*given, "Europe/Paris", "both" if both else "first")
        found = [" ".join(due_on(rule, date(2026, *day))) or "never" for day in ((3, 29), (10, 25))]
        assert found == days, name
