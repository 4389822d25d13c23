"""Schedules that are declared next to their tasks."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

from djtasks import crontab, every, scheduled, shared_task
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks import registry
from djtasks.tasks import scheduled as module

pytestmark = pytest.mark.usefixtures("nothing_declared")


def test_task_stays_what_it_is_and_has_a_schedule() -> None:
    @scheduled(crontab(hour=3, minute=0), args=(1,), options={"queue": "night"})
    @shared_task(name="tests.scheduled.sweep")
    def sweep(number: int) -> int:
        return number

    assert sweep(7) == 7
    entry, source = module.declared()["tests.scheduled.sweep"]
    assert (source, entry.columns["task"], entry.columns["queue"]) == ("code", "tests.scheduled.sweep", "night")
    assert entry.columns["expression"] == "0 3 * * *"


def test_second_schedule_of_a_task_needs_a_name() -> None:
    @shared_task(name="tests.scheduled.twice")
    def twice() -> None: ...

    scheduled(every(30))(twice)
    with pytest.raises(ImproperlyConfigured, match=r"two schedules are named 'tests\.scheduled\.twice'"):
        scheduled(every(60))(twice)
    scheduled(every(60), name="the other")(twice)
    assert set(module.declared()) == {"tests.scheduled.twice", "the other"}


def test_two_tasks_cannot_have_schedules_of_one_name() -> None:
    @scheduled(30, name="mine")
    @shared_task(name="tests.scheduled.one")
    def one() -> None: ...

    with pytest.raises(ImproperlyConfigured, match=r"of tests\.scheduled\.one and tests\.scheduled\.other"):

        @scheduled(30, name="mine")
        @shared_task(name="tests.scheduled.other")
        def other() -> None: ...


@pytest.mark.parametrize(
    ("rule", "fields", "said"),
    [("no crontab", {}, "five fields"), (30, {"jiter": 3}, "did you mean 'jitter'"), (30, {"args": 3}, "args is a")],
)
def test_what_cannot_work_is_refused_at_once(rule: Any, fields: dict[str, Any], said: str) -> None:
    @shared_task(name="tests.scheduled.refused")
    def refused() -> None: ...

    with pytest.raises(ImproperlyConfigured, match=said):
        scheduled(rule, **fields)(refused)


@pytest.mark.parametrize("fields", [{}, {"name": "mine"}], ids=str)
def test_plain_function_is_no_task(fields: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="above @shared_task"):
        scheduled(30, **fields)(len)  # type: ignore[type-var]
    assert module.declared() == {}


def test_empty_name_is_no_name() -> None:
    @shared_task(name="tests.scheduled.nameless")
    def nameless() -> None: ...

    with pytest.raises(ImproperlyConfigured, match="a schedule's name is a text"):
        scheduled(30, name="")(nameless)


def test_schedule_is_forgotten_with_its_task() -> None:
    """A module that is loaded anew says anew what is scheduled."""

    def load(*rules: int) -> None:
        @shared_task(name="tests.scheduled.loaded")
        def loaded() -> None: ...

        for rule in rules:
            scheduled(rule, name=f"every {rule}")(loaded)

    load(5, 7)
    load(7)
    assert set(module.declared()) == {"every 7"} and module.find("every 5") is None
    assert module.find("every 7") is module.declared()["every 7"][0]
    registry.forget("tests.scheduled.loaded")
    assert module.declared() == {} and module.find("every 7") is None


def test_entry_of_the_settings_is_found(settings: Any) -> None:
    settings.DJTASKS = {"BEAT_SCHEDULE": {"sums": {"task": "tests.tasks.add", "schedule": 5, "args": (1, int)}}}
    found = module.find("sums")
    assert found and found.arguments() == ([1, 0], {})
    assert module.find("nothing") is None


def test_settings_take_the_place_of_what_stands_beside_a_task(settings: Any) -> None:
    @scheduled(every(hours=1), name="sweep")
    @shared_task(name="tests.scheduled.again")
    def again() -> None: ...

    settings.DJTASKS = {"BEAT_SCHEDULE": {"sweep": {"task": "tests.scheduled.again", "schedule": 5}}}
    entry, source = module.declared()["sweep"]
    assert (source, entry.columns["expression"]) == ("settings", "5s")


def test_schedule_of_a_task_that_is_not_there_is_reported(settings: Any) -> None:
    """D10: before it fails."""
    settings.DJTASKS = {"BEAT_SCHEDULE": {"sums": {"task": "tests.tasks.ad", "schedule": 5}}}
    (found,) = [message for message in run_checks() if message.id == "djtasks.W013"]
    assert "'sums'" in found.msg and "'tests.tasks.add'" in found.hint
