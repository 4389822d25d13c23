"""Django's system checks for djtasks: settings, the database they name, and what routes to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks, mail
from django.core.checks import CheckMessage, Error, Warning
from django.db import NotSupportedError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.compat import HAS_TASKS, MISSING
from djtasks.conf import problems, settings
from djtasks.exceptions import ImproperlyConfigured

TAG = "djtasks"
COMMITTED = "read committed"

Found = list[CheckMessage]


def register() -> None:
    """Have Django run the checks."""
    for check in (check_settings, check_database, check_router, check_sqlite, check_eager, check_backends):
        checks.register(check, TAG)
    checks.register(check_server, TAG, checks.Tags.database)


def check_settings(app_configs: Any = None, **kwargs: Any) -> Found:
    """Report what is wrong in ``DJTASKS``, and times that do not fit together."""
    found = problems(getattr(django_settings, "DJTASKS", {}))
    messages = Found(
        (Warning if problem.is_harmless else Error)(problem.text, hint=problem.hint, id=f"djtasks.{problem.code}")
        for problem in found
    )
    if not all(problem.is_harmless for problem in found):
        return messages
    lease, poll = settings.LEASE_SECONDS, settings.POLL_SECONDS
    if lease < 3:
        text = (
            f"Leases of {lease:g} s are renewed every {lease / 3:.2g} s: one slow commit, and live workers lose them."
        )
        messages.append(Warning(text, hint="Set DJTASKS['LEASE_SECONDS'] to 3 or more.", id="djtasks.W001"))
    if poll >= lease:
        text = f"An idle worker looks for lapsed leases every {poll:g} s, although they lapse after {lease:g} s."
        messages.append(Warning(text, hint="Set POLL_SECONDS below LEASE_SECONDS in DJTASKS.", id="djtasks.W001"))
    return messages


def check_database(app_configs: Any = None, **kwargs: Any) -> Found:
    """Report a database that is missing, that cannot hold a queue, or that is not the one of the data."""
    alias = _named_alias()
    if alias is None:
        return []
    if alias not in connections:
        text = f"DJTASKS['DATABASE'] is {alias!r}, which DATABASES does not have."
        return [Error(text, hint=f"Use one of {', '.join(map(repr, connections))}, or add it.", id="djtasks.E003")]
    connection = connections[alias]
    messages = Found()
    if connection.vendor == "sqlite":
        if connection.get_database_version() < (3, 35):
            messages.append(_unable(connection, "SQLite before 3.35 lacks RETURNING"))
    elif type(connection.features).has_select_for_update_skip_locked is False:
        messages.append(_unable(connection, "it lacks SKIP LOCKED"))
    messages += _isolation_faults(connection)
    if alias != "default":
        messages.append(
            Warning(
                f"The queue is in the database {alias!r}, so messages do not join the transactions of 'default': "
                "a worker may receive one before its data are committed, or although they were rolled back.",
                hint="Send with delay_on_commit, or add djtasks.W005 to SILENCED_SYSTEM_CHECKS if that is known.",
                id="djtasks.W005",
            )
        )
    return messages


def check_server(app_configs: Any = None, databases: Collection[str] | None = None, **kwargs: Any) -> Found:
    """Report a server that is too old; this one asks the server."""
    alias = _alias()
    if alias is None or alias not in (databases or ()) or connections[alias].vendor == "sqlite":
        return []
    connection = connections[alias]
    # False for the whole engine is the business of check_database.
    if type(connection.features).has_select_for_update_skip_locked is False:
        return []
    try:
        # Django's own answer is an exception, and comes before all others.
        connection.check_database_version_supported()
    except NotSupportedError as error:
        return [_unable(connection, str(error).rstrip("."))]
    if not connection.features.has_select_for_update_skip_locked:
        return [_unable(connection, "this version of the server lacks SKIP LOCKED")]
    if not connection.features.supports_expression_defaults:
        return [_unable(connection, "this version of the server lacks defaults that are expressions")]
    return []


def check_router(app_configs: Any = None, **kwargs: Any) -> Found:
    """Report a database router that keeps the tables of djtasks away from the database of the queue."""
    alias = _alias()
    if alias is None or not apps.is_installed("djtasks"):
        return []
    model = apps.get_model("djtasks", "Message")
    messages = Found()
    hint = f"Let the router return {alias!r}, or None, for the app djtasks, or change DJTASKS['DATABASE']."
    # Not router.db_for_write: it answers "default" where no router has an opinion.
    answers = (each.db_for_write(model) for each in router.routers if hasattr(each, "db_for_write"))
    chosen = next(filter(None, answers), alias)
    if chosen != alias:
        text = f"A database router sends the models of djtasks to {chosen!r}, but the queue is in {alias!r}."
        messages.append(Error(text, hint=hint, id="djtasks.E008"))
    if not router.allow_migrate_model(alias, model):
        text = f"A database router keeps the tables of djtasks out of {alias!r}, where the queue is."
        messages.append(Error(text, hint=hint, id="djtasks.E008"))
    return messages


def check_sqlite(app_configs: Any = None, **kwargs: Any) -> Found:
    """Report an SQLite that several processes cannot share well, or at all."""
    alias = _alias()
    if alias is None or connections[alias].vendor != "sqlite":
        return []
    given = connections[alias].settings_dict
    name = str(given["NAME"])
    if name == ":memory:" or "mode=memory" in name:
        # Django's test databases in memory are called memorydb_<alias>.
        if "memorydb_" in name or settings.WORKER_POOL == "solo":
            return []
        text = f"The database {alias!r} is in memory, where worker processes cannot see it."
        return [Warning(text, hint="Name a file, or set DJTASKS['WORKER_POOL'] to 'solo'.", id="djtasks.W011")]
    if not (faults := _sqlite_faults(name, given["OPTIONS"])):
        return []
    return [
        Warning(
            f"Processes that share the SQLite database {alias!r} will stall or find it locked: {'; '.join(faults)}.",
            hint='Set its OPTIONS to {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": '
            '"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"}.',
            id="djtasks.W010",
        )
    ]


def check_eager(app_configs: Any = None, **kwargs: Any) -> Found:
    """Report tasks that run inside requests, unless this is development, or a test run (S24)."""
    # Django's own test environment has an outbox for mails, and so have all that build on it.
    at_play = django_settings.DEBUG or hasattr(mail, "outbox")
    if at_play or _alias() is None or not settings.TASK_ALWAYS_EAGER:
        return []
    text = "TASK_ALWAYS_EAGER runs every task inside the request that sends it; workers receive nothing."
    hint = "Remove it from DJTASKS, or add djtasks.W004 to SILENCED_SYSTEM_CHECKS if that is meant."
    return [Warning(text, hint=hint, id="djtasks.W004")]


def check_backends(app_configs: Any = None, **kwargs: Any) -> Found:
    """Report a backend for Django's tasks where there are no such tasks."""
    # Where Django has no such setting, it may be a project's own.
    entries = getattr(django_settings, "TASKS", None)
    if HAS_TASKS or not isinstance(entries, Mapping) or not any(map(_is_ours, entries.values())):
        return []
    text = "TASKS names djtasks as its backend, but this Django has no tasks of its own."
    return [Error(text, hint=f"{MISSING}.", id="djtasks.E016")]


def _is_ours(entry: object) -> bool:
    return isinstance(entry, Mapping) and str(entry.get("BACKEND")).startswith("djtasks.")


def _named_alias() -> str | None:
    try:
        return settings.DATABASE
    except ImproperlyConfigured:
        return None


def _alias() -> str | None:
    alias = _named_alias()
    return alias if alias is not None and alias in connections else None


def _unable(connection: BaseDatabaseWrapper, reason: str) -> Error:
    return Error(
        f"The database {connection.alias!r} ({connection.display_name}) cannot hold a queue: {reason}.",
        hint="Use PostgreSQL, MySQL 8.0.13 or MariaDB 10.6 or newer, or SQLite 3.35 or newer.",
        id="djtasks.E004",
    )


def _isolation_faults(connection: BaseDatabaseWrapper) -> Found:
    level = connection.settings_dict["OPTIONS"].get("isolation_level", COMMITTED)
    if connection.vendor != "mysql" or str(level).lower() == COMMITTED:
        return []
    text = (
        f"Transactions of {connection.alias!r} are not {COMMITTED.upper()}: what is revoked or run again in them may "
        "miss what a worker has written a moment ago, and whoever waits for both may wait for ever."
    )
    hint = "Remove isolation_level from its OPTIONS: Django's own is READ COMMITTED, as workers' always is."
    return [Warning(text, hint=hint, id="djtasks.W015")]


def _sqlite_faults(name: str, options: dict[str, Any]) -> list[str]:
    faults = []
    commands = str(options.get("init_command") or "").lower()
    mode = str(options.get("transaction_mode") or "DEFERRED").upper()
    if mode not in ("IMMEDIATE", "EXCLUSIVE"):
        faults.append(f"transaction_mode is {mode}, so a transaction that turns to writing fails at once")
    busy = re.search(r"busy_timeout\s*=\s*(\d+)", commands)
    timeout = int(busy[1]) / 1000 if busy else options.get("timeout", 5.0)
    if timeout < 5:
        faults.append(f"timeout is {timeout:g} s, and 5 s is the least")
    if not re.search(r"journal_mode\s*=\s*['\"]?wal", commands) and not _is_wal(name):
        faults.append("the journal is not WAL, so readers and writers shut each other out")
    return faults


def _is_wal(name: str) -> bool:
    path = unquote(urlsplit(name).path) if name.startswith("file:") else name
    try:
        with open(path, "rb") as file:
            header = file.read(20)
    except OSError:
        return False
    # SQLite keeps the journal mode in the file, where 2 stands for WAL; reading it needs no connection.
    return header[18:] == b"\x02\x02"
