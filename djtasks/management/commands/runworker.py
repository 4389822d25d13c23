"""``manage.py runworker``: parse, build, run."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from contextlib import nullcontext
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from djtasks import __version__
from djtasks.beat.running import Beat, embedded
from djtasks.conf import settings
from djtasks.domain.options import check_limits
from djtasks.domain.pools import pool_and_slots, pool_named
from djtasks.exceptions import ImproperlyConfigured, QueueNotFound
from djtasks.management.reading import bounds, lane, limit, pool_name, positive, queue_names, seconds
from djtasks.management.starting import add_logging, full_name, refuse_old
from djtasks.tasks import registry
from djtasks.tasks.routing import check_known
from djtasks.worker.garbage import frozen
from djtasks.worker.logs import set_up_logging
from djtasks.worker.plan import Plan
from djtasks.worker.reload import run
from djtasks.worker.supervisor import Supervisor


class Command(BaseCommand):
    """Run a worker."""

    help = "Run a worker: it reserves messages and runs their tasks in a pool."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("-Q", "--queues", type=queue_names, help="comma-separated queues to serve (default: every queue)")
        add("-X", "--exclude-queues", type=queue_names, default=(), help="serve every queue but these")
        add("-c", "--concurrency", type=positive, help="how many tasks run at a time (default: one per CPU)")
        add("-P", "--pool", type=pool_name, help="processes (or prefork), threads, eventloop (or asyncio), solo")
        add("--autoscale", type=bounds, metavar="MAX,MIN", help="so many slots, by what there is to do")
        add("--pool-for", type=lane, action="append", metavar="QUEUE=POOL:N", help="a pool of its own for a queue")
        add("-n", "--hostname", help="the worker's name; %%h is the host, %%n its first part, %%d its domain")
        add("-B", "--beat", action="store_true", help="run a beat, too; any number of them may run")
        add_logging(parser)
        add("--reload", action="store_true", help="start anew when the code changes; under DEBUG alone")
        add("--max-tasks-per-child", type=positive, help="replace a pool process after so many tasks")
        add("--time-limit", type=limit, metavar="SECONDS", help="end a body that runs longer")
        add("--soft-time-limit", type=limit, metavar="SECONDS", help="raise SoftTimeLimitExceeded in it before that")
        add("--max-memory-per-child", type=positive, metavar="KIB", help="replace a pool process that has grown so big")
        add("--burst", action="store_true", help="exit when nothing is ready any more")
        add("--grace", type=seconds, metavar="SECONDS", help="how long running tasks may finish after TERM or INT")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reload"] and not django_settings.DEBUG:
            raise CommandError("--reload is for development: it needs DEBUG = True", returncode=2)
        set_up_logging(options["loglevel"], options["log_format"])
        try:
            plan = plan_of(options)
            refuse_old(settings.DATABASE)
            self.stdout.write(banner(plan))
            supervisor = Supervisor(plan)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        beat = Beat(plan.hostname, worker=supervisor.holder.worker_id)
        with embedded(beat) if options["beat"] else nullcontext(), frozen():
            run(supervisor, reload=options["reload"])


def plan_of(options: dict[str, Any]) -> Plan:
    """Merge the command line over the settings."""
    if options["queues"] and options["exclude_queues"]:
        raise CommandError("give either --queues or --exclude-queues, not both", returncode=2)
    pool = options["pool"] or pool_named(settings.WORKER_POOL)
    queues = options["queues"] or (None if options["exclude_queues"] else settings.WORKER_QUEUES)
    try:
        check_limits(options["soft_time_limit"], options["time_limit"])
        for queue in queues or ():
            check_known(queue)
    except (QueueNotFound, ValueError) as error:
        raise CommandError(str(error), returncode=2) from None
    autoscale = autoscale_of(options, pool)
    grace = settings.WORKER_GRACE_SECONDS if options["grace"] is None else options["grace"]
    return Plan(
        hostname=full_name(options["hostname"] or "djtasks@%h"),
        pool=pool,
        slots=autoscale[1] if autoscale else slots_of(options, pool),
        queues=tuple(queues) if queues else None,
        excluded=tuple(options["exclude_queues"]),
        burst=options["burst"],
        grace=grace,
        max_tasks_per_child=options["max_tasks_per_child"] or settings.WORKER_MAX_TASKS_PER_CHILD,
        max_memory_per_child=options["max_memory_per_child"] or settings.WORKER_MAX_MEMORY_PER_CHILD,
        time_limit=options["time_limit"],
        soft_time_limit=options["soft_time_limit"],
        autoscale=autoscale,
        pool_for=lanes_of(options, pool, queues),
    )


def lanes_of(options: dict[str, Any], pool: str, queues: Any) -> tuple[tuple[str, str, int], ...]:
    """Return the queues with pools of their own, as far as they are served here."""
    lanes = [(queue, *pool_and_slots(text)) for queue, text in (settings.WORKER_POOL_FOR or {}).items()]
    lanes = [each for each in lanes if (not queues or each[0] in queues) and each[0] not in options["exclude_queues"]]
    if given := options["pool_for"]:
        lanes = given
    names = [queue for queue, _, _ in lanes]
    problem = ""
    for queue in names:
        if names.count(queue) > 1:
            problem = f"--pool-for names {queue!r} twice"
        elif queue in options["exclude_queues"] or (queues and queue not in queues):
            problem = f"--pool-for names {queue!r}, which is not among the queues that this worker serves"
    if lanes and pool == "solo":
        problem = "the solo pool cannot run beside another: choose another pool, or leave out --pool-for"
    if queues and not set(queues) - set(names):
        problem = "every queue has a pool of its own: name one more with --queues, for the main pool"
    if problem:
        raise CommandError(problem, returncode=2)
    return tuple(lanes)


def slots_of(options: dict[str, Any], pool: str) -> int:
    """Say how many tasks run at a time."""
    return 1 if pool == "solo" else options["concurrency"] or settings.WORKER_CONCURRENCY or os.cpu_count() or 1


def autoscale_of(options: dict[str, Any], pool: str) -> tuple[int, int] | None:
    """Return the most and the least slots, where they are to change (WORK-5)."""
    if options["autoscale"] and options["concurrency"]:
        raise CommandError("give either --autoscale or --concurrency, not both", returncode=2)
    given = options["autoscale"] or (None if options["concurrency"] else settings.WORKER_AUTOSCALE)
    if given and pool == "solo":
        raise CommandError("the solo pool cannot grow: leave out autoscaling, or choose another pool", returncode=2)
    return tuple(given) if given else None


def banner(plan: Plan) -> str:
    """Say what is being started."""
    database = connections[settings.DATABASE].settings_dict
    queues = ", ".join(plan.queues) if plan.queues else "all" + "".join(f", not {name}" for name in plan.excluded)
    names = list(registry.names())
    slots = "{1} to {0}".format(*plan.autoscale) if plan.autoscale else plan.slots
    lines = [
        f"djtasks {__version__} worker {plan.hostname} (pid {os.getpid()})",
        f"  database  {settings.DATABASE}: {database['ENGINE'].rsplit('.', 1)[-1]} {database['NAME']}",
        f"  queues    {queues}",
        f"  pool      {plan.pool}, {slots} at a time",
        *(f"            {name}, {most} at a time, for {queue}" for queue, name, most in plan.pool_for),
        f"  tasks     {len(names)} registered",
        *(f"            {name}" for name in names),
    ]
    return "\n".join(lines)
