"""What is seen of beats: whether anybody looks after schedules, and what is late or broken."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from djtasks.beat.health import health
from djtasks.beat.tick import tick
from djtasks.broker.vendors import Vendor
from djtasks.models import Beat, Schedule
from djtasks.models.clock import Now
from tests.beat.sentences import change_by_sql, due, hourly, let_come_due, planned


def beat(seen: float = 0.0, **given: object) -> Beat:
    made = Beat.objects.create(name="beat@here", host="here", pid=42, **given)
    Beat.objects.filter(pk=made.pk).update(seen_at=Now() - timedelta(seconds=seen))
    return made


def test_no_beat_is_a_problem_while_something_is_scheduled(vendor: Vendor) -> None:
    assert health(vendor).problem == ""
    hourly()
    assert "no beat is alive, and 1 schedule is enabled" in health(vendor).problem
    beat()
    assert health(vendor).problem == ""


def test_beat_that_gives_no_sign_of_life_is_none(vendor: Vendor) -> None:
    planned(vendor)
    beat(seen=31)
    assert "no beat is alive" in health(vendor).problem
    beat(seen=20)
    assert health(vendor).problem == ""


def test_nobody_needs_a_beat_where_all_schedules_are_disabled(vendor: Vendor) -> None:
    hourly(enabled=False)
    assert health(vendor).problem == ""


def test_late_slots_are_seen(vendor: Vendor) -> None:
    beat()
    due(vendor, "first", ago=0), due(vendor, "second", ago=0)
    assert health(vendor).problem == ""
    let_come_due("first", ago=100), let_come_due("second", ago=50)
    assert re.fullmatch(r"2 schedules are late, by up to 1\d\d s", health(vendor).problem)
    tick(vendor)
    assert health(vendor).problem == ""


@pytest.mark.parametrize("json_wanted", [True, False])
def test_status_tells_of_all_of_it(vendor: Vendor, capsys: pytest.CaptureFixture[str], json_wanted: bool) -> None:
    beat(), beat(seen=60, worker="01920000-0000-7000-8000-000000000000")
    due(vendor, "broken"), due(vendor, "late", ago=60)
    change_by_sql("broken", expression="whenever")
    Schedule.objects.filter(name="late").update(next_run_at=None)
    tick(vendor)
    let_come_due("late", ago=60)
    with pytest.raises(CommandError, match=r"no worker is alive; 1 schedule is late, by up to \d+ s"):
        call_command("djtasks", "status", *(["--json"] if json_wanted else []))
    output = capsys.readouterr().out
    if json_wanted:
        data = json.loads(output)
        assert [(each["name"], each["alive"], bool(each["worker"])) for each in data["beats"]] == [
            ("beat@here", True, False),
            ("beat@here", False, True),
        ]
        assert (data["schedules"]["enabled"], data["schedules"]["late"]) == (1, 1)
        assert data["schedules"]["broken"][0]["name"] == "broken"
    else:
        assert "beat@here" in output and "schedules: 1 enabled, 1 late" in output and "broken" in output
