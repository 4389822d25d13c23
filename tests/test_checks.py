"""The system checks: each fault has its number, and a hint that names the fix."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.checks import CheckMessage, Tags, registry
from django.core.management.base import CommandError
from django.db import models
from django.db.utils import ConnectionHandler
from django.test import override_settings

from djtasks import checks
from djtasks.management.starting import refuse_old

GOOD = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}

Databases = Callable[..., ConnectionHandler]


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch) -> Databases:
    """Have the checks see SQLite databases of these names and options."""

    def replace(name: str = "db.sqlite3", alias: str = "default", **options: Any) -> ConnectionHandler:
        sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options or GOOD}
        handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}, alias: sqlite})
        monkeypatch.setattr(checks, "connections", handler)
        return handler

    return replace


def ids(messages: list[CheckMessage]) -> list[str]:
    assert all(message.hint for message in messages)
    return [str(message.id).removeprefix("djtasks.") for message in messages]


def test_django_runs_the_checks() -> None:
    checks.register()
    always: set[Any] = registry.registry.registered_checks
    ours = {check.__name__: set(check.tags) for check in always if checks.TAG in check.tags}
    assert ours.pop("check_server") == {checks.TAG, Tags.database}
    of_database = {"check_settings", "check_database", "check_router", "check_sqlite"}
    assert set(ours) == of_database | {
        "check_routes",
        "check_queues",
        "check_annotations",
        "check_schedules",
        "check_eager",
        "check_backends",
    }


@override_settings(DJTASKS={})
def test_a_good_project_has_nothing_to_report(databases: Databases) -> None:
    databases()
    every = (
        checks.check_settings,
        checks.check_database,
        checks.check_router,
        checks.check_sqlite,
        checks.check_eager,
    )
    assert [check(None) for check in every] == [[]] * 5
    assert checks.check_server(None, databases=["default"]) == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"LEASE_SECONDS": 30, "POLL_SECONDS": 1}, []),
        (None, ["E001"]),
        ({"LEASE_SECOND": 1, "BROKER_URL": "redis://"}, ["E002", "W002"]),
        ({"NOTIFY": "yes"}, ["E007"]),
        ({"LEASE_SECONDS": 0.5}, ["E009"]),
        ({"LEASE_SECONDS": 2}, ["W001"]),
        ({"LEASE_SECONDS": 5, "POLL_SECONDS": 5}, ["W001"]),
    ],
)
def test_settings_are_checked(raw: Any, expected: list[str]) -> None:
    with override_settings(DJTASKS=raw):
        assert ids(checks.check_settings(None)) == expected


@override_settings(DJTASKS={"NO_SUCH": 1})
def test_wrong_settings_are_reported_once_and_not_by_the_other_checks() -> None:
    assert checks.check_database(None) == checks.check_router(None) == checks.check_sqlite(None) == []
    assert checks.check_server(None, databases=["default"]) == checks.check_eager(None) == []


@override_settings(DJTASKS={"DATABASE": "queue"})
def test_a_database_that_does_not_exist_is_an_error(databases: Databases) -> None:
    databases()
    [message] = checks.check_database(None)
    assert ids([message]) == ["E003"]
    assert "'default'" in str(message.hint)
    assert checks.check_router(None) == checks.check_sqlite(None) == []


@override_settings(DJTASKS={"DATABASE": "queue"})
def test_a_database_of_its_own_is_warned_of(databases: Databases) -> None:
    databases(alias="queue")
    [message] = checks.check_database(None)
    assert ids([message]) == ["W005"]
    assert "delay_on_commit" in str(message.hint)


class Locks:
    """The features of a server that may be too old, as Django's are for MySQL."""

    minimum_database_version = None

    def __init__(self, skip: bool, defaults: bool = True) -> None:
        self.skip = skip
        self.supports_expression_defaults = defaults

    @property
    def has_select_for_update_skip_locked(self) -> bool:
        return self.skip


class NoLocks:
    has_select_for_update_skip_locked = False


@override_settings(DJTASKS={})
@pytest.mark.parametrize(
    ("vendor", "features", "expected"),
    [
        ("mysql", Locks(True), ([], [])),
        ("mysql", Locks(False), ([], ["E004"])),
        ("mysql", Locks(True, False), ([], ["E004"])),
        ("exotic", NoLocks(), (["E004"], [])),
        ("sqlite", NoLocks(), ([], [])),
    ],
)
def test_an_engine_or_server_that_lacks_something_is_an_error(
    databases: Databases, vendor: str, features: object, expected: tuple[list[str], list[str]]
) -> None:
    connection: Any = databases()["default"]
    connection.vendor, connection.features = vendor, features
    asked = checks.check_server(None, databases=["default"])
    assert (ids(checks.check_database(None)), ids(asked)) == expected
    assert checks.check_server(None) == checks.check_server(None, databases=["other"]) == []


@override_settings(DJTASKS={})
@pytest.mark.parametrize(("version", "expected"), [((3, 34, 1), ["E004"]), ((3, 35, 0), [])])
def test_an_sqlite_without_returning_is_an_error(
    databases: Databases, version: tuple[int, ...], expected: list[str]
) -> None:
    connection: Any = databases()["default"]
    connection.get_database_version = lambda: version
    assert ids(checks.check_database(None)) == expected


@pytest.fixture
def mysql(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Have the checks see a server of MySQL's kin that says it has this version; nothing is connected."""
    pytest.importorskip("MySQLdb")

    def replace(version: str = "8.4.0", **options: Any) -> None:
        handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.mysql", "OPTIONS": options}})
        connection: Any = handler["default"]
        connection.mysql_server_data = {"version": version}
        monkeypatch.setattr(checks, "connections", handler)

    return replace


@override_settings(DJTASKS={})
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("5.7.44", ["E004"]),
        ("8.0.12", ["E004"]),
        ("8.4.0", []),
        ("10.4.34-MariaDB", ["E004"]),
        ("10.5.29-MariaDB-1:10.5.29+maria~ubu2004", ["E004"]),
        ("11.8.3-MariaDB", []),
    ],
)
def test_an_old_mysql_or_mariadb_is_an_error(mysql: Callable[..., Any], version: str, expected: list[str]) -> None:
    """C22"""
    mysql(version)
    assert checks.check_database(None) == []
    assert ids(checks.check_server(None, databases=["default"])) == expected


@override_settings(DJTASKS={})
@pytest.mark.parametrize("old", ["8.0.12", "10.5.29-MariaDB"])
def test_what_is_started_on_an_old_server_ends_with_a_sentence(mysql: Callable[..., Any], old: str) -> None:
    """C22"""
    mysql(old)
    with pytest.raises(CommandError, match=r"cannot hold a queue: .+ Use PostgreSQL, MySQL 8\.0\.13 or MariaDB 10\.6"):
        refuse_old("default")


@override_settings(DJTASKS={})
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"isolation_level": "Read Committed"}, []),
        ({"isolation_level": "repeatable read"}, ["W015"]),
        ({"isolation_level": None}, ["W015"]),
    ],
)
def test_transactions_that_do_not_see_what_is_committed_are_warned_of(
    mysql: Callable[..., Any], options: dict[str, Any], expected: list[str]
) -> None:
    """B4"""
    mysql(**options)
    assert ids(checks.check_database(None)) == expected


class Elsewhere:
    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return "other" if model._meta.app_label == "djtasks" else None


class Nowhere:
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "djtasks" else None


class Undecided(Nowhere, Elsewhere):
    def db_for_write(self, model: type[models.Model], **hints: Any) -> None: ...
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> None: ...


@override_settings(DJTASKS={})
@pytest.mark.parametrize(
    ("routers", "expected"),
    [
        ([], []),
        ([Undecided()], []),
        ([Elsewhere()], ["E008"]),
        ([Nowhere()], ["E008"]),
        ([Undecided(), Elsewhere(), Nowhere()], ["E008", "E008"]),
    ],
)
def test_a_router_that_leads_elsewhere_is_an_error(
    databases: Databases, routers: list[object], expected: list[str]
) -> None:
    databases()
    with override_settings(DATABASE_ROUTERS=routers):
        assert ids(checks.check_router(None)) == expected


@override_settings(DJTASKS={"DATABASE": "other"})
def test_a_router_that_leads_to_the_queue_is_right(databases: Databases) -> None:
    databases(alias="other")
    with override_settings(DATABASE_ROUTERS=[Elsewhere()]):
        assert checks.check_router(None) == []
    with override_settings(DATABASE_ROUTERS=[]):
        assert checks.check_router(None) == []


@override_settings(DJTASKS={})
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}, "transaction_mode is DEFERRED"),
        ({**GOOD, "transaction_mode": "deferred"}, "transaction_mode is DEFERRED"),
        ({**GOOD, "transaction_mode": None}, "transaction_mode is DEFERRED"),
        ({**GOOD, "timeout": 1}, "timeout is 1 s"),
        ({**GOOD, "init_command": "PRAGMA journal_mode=WAL; PRAGMA busy_timeout = 500"}, "timeout is 0.5 s"),
        ({**GOOD, "init_command": ""}, "not WAL"),
        ({"transaction_mode": "EXCLUSIVE", "init_command": "pragma journal_mode = 'wal'"}, None),
        ({**GOOD, "timeout": 1, "init_command": "PRAGMA journal_mode=WAL; PRAGMA busy_timeout=9000"}, None),
    ],
)
def test_an_sqlite_that_processes_cannot_share_well_is_warned_of(
    databases: Databases, options: dict[str, Any], fault: str | None
) -> None:
    databases("/no/such/db.sqlite3", **options)
    messages = checks.check_sqlite(None)
    assert ids(messages) == (["W010"] if fault else [])
    assert fault is None or fault in messages[0].msg


@override_settings(DJTASKS={})
@pytest.mark.parametrize(("mode", "expected"), [("WAL", []), ("DELETE", ["W010"])])
@pytest.mark.parametrize("name", ["{}", "file:{}?cache=private"])
def test_the_journal_mode_is_read_from_the_file(
    databases: Databases, tmp_path: Path, name: str, mode: str, expected: list[str]
) -> None:
    file = tmp_path / "a db.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE x (y)")
    databases(name.format(str(file).replace(" ", "%20") if "file:" in name else file), transaction_mode="IMMEDIATE")
    assert ids(checks.check_sqlite(None)) == expected


@pytest.mark.parametrize(
    ("name", "pool", "expected"),
    [
        (":memory:", "processes", ["W011"]),
        ("file:own?mode=memory&cache=shared", "processes", ["W011"]),
        (":memory:", "threads", ["W011"]),
        (":memory:", "solo", []),
        ("file:memorydb_default?mode=memory&cache=shared", "processes", []),
    ],
)
def test_worker_processes_and_a_database_in_memory_are_warned_of(
    databases: Databases, name: str, pool: str, expected: list[str]
) -> None:
    databases(name)
    with override_settings(DJTASKS={"WORKER_POOL": pool}):
        assert ids(checks.check_sqlite(None)) == expected


@pytest.mark.parametrize(
    ("eager", "debug", "testing", "expected"),
    [
        (True, False, False, ["W004"]),
        (True, True, False, []),
        (True, False, True, []),
        (False, False, False, []),
    ],
)
def test_eager_tasks_are_warned_of_outside_development_and_tests(
    monkeypatch: pytest.MonkeyPatch, eager: bool, debug: bool, testing: bool, expected: list[str]
) -> None:
    """S24."""
    if not testing:
        monkeypatch.delattr(mail, "outbox")
    with override_settings(DJTASKS={"TASK_ALWAYS_EAGER": eager}, DEBUG=debug):
        assert ids(checks.check_eager(None)) == expected
