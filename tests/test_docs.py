"""The guide for who comes from Celery says what is: each statement is there, and each test that it names exists."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from djtasks import signals
from djtasks.conf import Settings, problems

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "coming-from-celery.md").read_text()
STATEMENTS = {
    "CALL": 14,
    "TASK": 7,
    "RETRY": 11,
    "ACK": 8,
    "RES": 15,
    "CANV": 14,
    "ROUTE": 4,
    "WORK": 14,
    "BEAT": 9,
    "MON": 6,
}
KINDS = ("kept", "differs", "left out")
CARRIED = """
    TASK_ACKS_LATE TASK_ACKS_ON_FAILURE TASK_ACKS_ON_TIMEOUT TASK_REJECT_ON_WORKER_LOST TASK_ALWAYS_EAGER
    TASK_EAGER_PROPAGATES TASK_STORE_EAGER_RESULT TASK_ANNOTATIONS TASK_DEFAULT_QUEUE TASK_DEFAULT_PRIORITY
    TASK_INHERIT_PARENT_PRIORITY TASK_DEFAULT_RATE_LIMIT TASK_CREATE_MISSING_QUEUES TASK_QUEUES TASK_ROUTES
    TASK_IGNORE_RESULT TASK_STORE_ERRORS_EVEN_IF_IGNORED TASK_REMOTE_TRACEBACKS TASK_SEND_SENT_EVENT
    TASK_SOFT_TIME_LIMIT TASK_TIME_LIMIT TASK_TRACK_STARTED TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER RESULT_EXPIRES
    RESULT_EXTENDED RESULT_CHORD_JOIN_TIMEOUT RESULT_CHORD_RETRY_INTERVAL WORKER_CONCURRENCY WORKER_POOL
    WORKER_PREFETCH_MULTIPLIER WORKER_DISABLE_PREFETCH WORKER_ETA_TASK_LIMIT WORKER_MAX_TASKS_PER_CHILD
    WORKER_MAX_MEMORY_PER_CHILD WORKER_AUTOSCALER WORKER_LOST_WAIT WORKER_PROC_ALIVE_TIMEOUT
    WORKER_SOFT_SHUTDOWN_TIMEOUT WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE WORKER_DEDUPLICATE_SUCCESSFUL_TASKS
    WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS WORKER_DISABLE_RATE_LIMITS WORKER_ENABLE_REMOTE_CONTROL
    WORKER_SEND_TASK_EVENTS WORKER_STATE_DB WORKER_POOL_RESTARTS WORKER_REDIRECT_STDOUTS WORKER_HIJACK_ROOT_LOGGER
    WORKER_LOG_FORMAT WORKER_TASK_LOG_FORMAT WORKER_TIMER_PRECISION BEAT_SCHEDULE BEAT_SCHEDULER
    BEAT_MAX_LOOP_INTERVAL BEAT_SYNC_EVERY BEAT_CRON_STARTING_DEADLINE TIMEZONE ENABLE_UTC IMPORTS INCLUDE
    ACCEPT_CONTENT
""".split()  # noqa: SIM905, nobody wants to read so many quotes


def rows(title: str, columns: int) -> list[list[str]]:
    """Return the cells of the tables of a section, but for their heads."""
    section = GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in section.splitlines() if line[:2] == "| "]
    return [row for row in found if len(row) == columns and not set(row[0]) <= {"-"}]


def statements() -> dict[str, tuple[str, str]]:
    named = [row for row in rows("Every statement, counted", 3) if re.fullmatch(r"[A-Z]+-\d+", row[0])]
    assert len({row[0] for row in named}) == len(named)
    return {name: (kind, text) for name, kind, text in named}


def known_tests() -> set[str]:
    sources = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "example_project").rglob("test_*.py")]
    return {name for path in sources for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.M)}


def test_every_statement_is_there_once() -> None:
    assert list(statements()) == [f"{name}-{number + 1}" for name, most in STATEMENTS.items() for number in range(most)]


@pytest.mark.parametrize("statement", statements())
def test_statement_names_tests_that_exist_or_says_why_not(statement: str) -> None:
    kind, text = statements()[statement]
    named = re.findall(r"`(test_\w+)`", text)
    assert kind in KINDS
    assert set(named) <= known_tests()
    assert named if kind == "kept" else re.sub(r"`test_\w+`|[(), ]", "", text)


def test_statements_are_counted() -> None:
    counts = Counter(kind for kind, _ in statements().values())
    shown = {kind: int(count) for kind, count in rows("Every statement, counted", 2) if count.isdigit()}
    assert shown == {**{kind: counts[kind] for kind in KINDS}, "all": sum(STATEMENTS.values())}


def test_every_setting_of_celery_has_a_row_that_is_true() -> None:
    known = {each.name: each.default for each in fields(Settings)}
    table = {row[0].strip("`"): row[1] for row in rows("Settings", 3) if row[0].startswith("`")}
    assert set(table) == set(CARRIED)
    assert {name for name, here in table.items() if here in ("same", "other default")} <= set(known)
    for name in (name for name, here in table.items() if here == "not needed"):
        assert [problem.code for problem in problems({name: 1})] == ["W002"], name


def test_every_setting_of_our_own_is_named() -> None:
    ours = {each.name for each in fields(Settings)} - set(CARRIED)
    section = GUIDE.partition("\n## Settings\n")[2].partition("\n## ")[0]
    assert {name for name in ours if f"`{name}`" not in section} == set()


def test_signals_that_are_named_exist() -> None:
    section = GUIDE.partition("There are `before_task_publish`")[2].partition("\n\n")[0].partition(". `before")[0]
    for name in ["before_task_publish", *re.findall(r"`(\w+)`", section)]:
        assert isinstance(getattr(signals, name), signals.Signal), name
