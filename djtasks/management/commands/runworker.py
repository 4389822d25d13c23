"""``manage.py runworker``: parse, build, run."""

from __future__ import annotations

import os
import socket
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from djtasks import __version__
from djtasks.conf import settings
from djtasks.domain.identifiers import check_queue_name
from djtasks.exceptions import ImproperlyConfigured
from djtasks.tasks import registry
from djtasks.worker.logs import set_up_logging
from djtasks.worker.pools import pool_named
from djtasks.worker.supervisor import Plan, Supervisor

LEVELS = ("debug", "info", "warning", "error", "critical")


class Command(BaseCommand):
    """Run a worker."""

    help = "Run a worker: it reserves messages and runs their tasks in a pool."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("-Q", "--queues", type=queue_names, help="comma-separated queues to serve (default: every queue)")
        add("-X", "--exclude-queues", type=queue_names, default=(), help="serve every queue but these")
        add("-c", "--concurrency", type=positive, help="how many tasks run at a time (default: one per CPU)")
        add("-P", "--pool", type=pool_name, help="processes (or prefork), threads, solo")
        add("-n", "--hostname", help="the worker's name; %%h is the host, %%n its first part, %%d its domain")
        add("-l", "--loglevel", default="info", type=str.lower, choices=LEVELS)
        add("--max-tasks-per-child", type=positive, help="replace a pool process after so many tasks")
        add("--max-memory-per-child", type=positive, metavar="KIB", help="replace a pool process that has grown so big")
        add("--burst", action="store_true", help="exit when nothing is ready any more")
        add("--grace", type=seconds, metavar="SECONDS", help="how long running tasks may finish after TERM or INT")

    def handle(self, *args: Any, **options: Any) -> None:
        set_up_logging(options["loglevel"])
        try:
            plan = plan_of(options)
            refuse_unmigrated(settings.DATABASE)
            self.stdout.write(banner(plan))
            Supervisor(plan).run()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error


def refuse_unmigrated(alias: str) -> None:
    """Raise CommandError where the tables are older than this code; a database that is not there yet is waited for."""
    try:
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


def plan_of(options: dict[str, Any]) -> Plan:
    """Merge the command line over the settings."""
    if options["queues"] and options["exclude_queues"]:
        raise CommandError("give either --queues or --exclude-queues, not both", returncode=2)
    pool = options["pool"] or pool_named(settings.WORKER_POOL)
    queues = options["queues"] or (None if options["exclude_queues"] else settings.WORKER_QUEUES)
    grace = settings.WORKER_GRACE_SECONDS if options["grace"] is None else options["grace"]
    return Plan(
        hostname=full_name(options["hostname"] or "djtasks@%h"),
        pool=pool,
        slots=1 if pool == "solo" else options["concurrency"] or settings.WORKER_CONCURRENCY or os.cpu_count() or 1,
        queues=tuple(queues) if queues else None,
        excluded=tuple(options["exclude_queues"]),
        burst=options["burst"],
        grace=grace,
        max_tasks_per_child=options["max_tasks_per_child"] or settings.WORKER_MAX_TASKS_PER_CHILD,
        max_memory_per_child=options["max_memory_per_child"] or settings.WORKER_MAX_MEMORY_PER_CHILD,
    )


def full_name(pattern: str) -> str:
    """Fill in the host's name as Celery does (WORK-12)."""
    host = socket.gethostname()
    first, _, domain = host.partition(".")
    return pattern.replace("%h", host).replace("%n", first).replace("%d", domain)


def banner(plan: Plan) -> str:
    """Say what is being started."""
    database = connections[settings.DATABASE].settings_dict
    queues = ", ".join(plan.queues) if plan.queues else "all" + "".join(f", not {name}" for name in plan.excluded)
    names = list(registry.names())
    lines = [
        f"djtasks {__version__} worker {plan.hostname} (pid {os.getpid()})",
        f"  database  {settings.DATABASE}: {database['ENGINE'].rsplit('.', 1)[-1]} {database['NAME']}",
        f"  queues    {queues}",
        f"  pool      {plan.pool}, {plan.slots} at a time",
        f"  tasks     {len(names)} registered",
        *(f"            {name}" for name in names),
    ]
    return "\n".join(lines)


def queue_names(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of queue names."""
    try:
        return tuple(check_queue_name(name.strip()) for name in text.split(",") if name.strip()) or _no_queue()
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def pool_name(text: str) -> str:
    """Read the name of a pool."""
    try:
        return pool_named(text)
    except ImproperlyConfigured as error:
        raise ArgumentTypeError(str(error)) from None


def _no_queue() -> tuple[str, ...]:
    raise ArgumentTypeError("name at least one queue")


def positive(text: str) -> int:
    """Read a whole number from one."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    """Read a number of seconds from zero."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
