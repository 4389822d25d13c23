"""What the commands that start something have in common: their log, their name, a server and tables that fit."""

from __future__ import annotations

import socket
from argparse import ArgumentParser

from django.core.management.base import CommandError
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from djtasks.checks import check_server
from djtasks.worker.logs import FORMATTERS

LEVELS = ("debug", "info", "warning", "error", "critical")


def add_logging(parser: ArgumentParser) -> None:
    """Take how much is logged, and how."""
    parser.add_argument("-l", "--loglevel", default="info", type=str.lower, choices=LEVELS)
    text = "lines of text, or of JSON (default: as the settings say)"
    parser.add_argument("--log-format", choices=sorted(FORMATTERS), help=text)


def refuse_old(alias: str) -> None:
    """Raise CommandError for a server or tables that are too old; a database that is not there yet is waited for."""
    try:
        for fault in check_server(databases=[alias]):
            raise CommandError(f"{fault.msg} {fault.hint}")
        executor = MigrationExecutor(connections[alias])
    except OperationalError:
        return
    missing = [
        migration.name
        for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes("djtasks"))
        if migration.app_label == "djtasks"
    ]
    connections[alias].close()
    if missing:
        raise CommandError(f"the tables of djtasks lack {', '.join(missing)}: run manage.py migrate first")


def full_name(pattern: str) -> str:
    """Fill in the host's name as Celery does (WORK-12)."""
    host = socket.gethostname()
    first, _, domain = host.partition(".")
    return pattern.replace("%h", host).replace("%n", first).replace("%d", domain)
