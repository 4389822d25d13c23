"""``manage.py djtasks …``: parse, do, show."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from djtasks.domain.payloads import printable
from djtasks.exceptions import DjtasksError
from djtasks.management import arguments, celery_beat, messages, schedules, workers
from djtasks.management.report import Report
from djtasks.management.status import status


class Command(BaseCommand):
    """Look at workers and messages, and steer them."""

    help = "Look at workers and messages, and steer them."
    # Where something is wrong one wants to look all the more.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        for name, (text, add) in arguments.SUBCOMMANDS.items():
            add(subcommands.add_parser(name, help=text, description=text))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = self._done(options)
        except (DjtasksError, TypeError, ValueError, RuntimeError) as error:
            raise CommandError(printable(str(error))) from error
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(f"the database does not answer as it should: {str(error).strip()}") from error
        if options["json"]:
            self.stdout.write(json.dumps(report.data, default=str, indent=2))
        elif report.text:
            self.stdout.write(report.text)
        if report.trouble:
            raise CommandError(report.trouble)

    def _done(self, options: dict[str, Any]) -> Report:
        match options["subcommand"]:
            case "inspect":
                asked = options["question"], options["destination"], options["timeout"], options.get("subjects") or ()
                return workers.inspected(*asked)
            case "control":
                return self._controlled(options)
            case "status":
                return status()
            case "purge":
                self._ask_whether_to_purge(options)
                return messages.purged(options["queues"])
            case "pause":
                return messages.paused(options["queues"])
            case "resume":
                return messages.resumed(options["queues"])
            case "list":
                return messages.listed(options["state"], options["task"], options["queue"], options["limit"])
            case "result":
                return messages.result(options["id"])
            case "schedule":
                return self._scheduled(options)
            case "import_celery_beat":
                how = {name: options[name] for name in ("update", "disabled")}
                return celery_beat.imported(options["database"], dry=options["dry_run"], **how)
            case _:
                how = {name: options[name] for name in ("countdown", "expires", "queue", "priority")}
                return messages.called(options["name"], options["positional"], options["keyword"], **how)

    def _scheduled(self, options: dict[str, Any]) -> Report:
        match options["deed"]:
            case "list":
                return schedules.listed()
            case "next":
                return schedules.next_runs(options["name"], options["count"])
            case "run":
                return schedules.run(options["name"])
            case deed:
                return schedules.switched(options["names"], deed == "enable")

    def _controlled(self, options: dict[str, Any]) -> Report:
        verb = options["verb"]
        if verb not in ("revoke", "terminate"):
            given = {name: options[name] for name in arguments.TAKEN[verb]}
            return workers.controlled(verb, given, options["destination"], options["timeout"])
        criteria = {name: options.get(name) for name in ("task", "queue", "tag", "stamps")}
        if bool(options["ids"]) is any(criteria.values()):
            raise CommandError("give either ids, or what to choose messages by: --task, --queue, --tag", returncode=2)
        terminate = verb == "terminate" or options["terminate"]
        return workers.revoked(options["ids"], terminate, options["signal"], **criteria)

    def _ask_whether_to_purge(self, options: dict[str, Any]) -> None:
        if options["force"]:
            return
        queues = ", ".join(options["queues"]) if options["queues"] else "all queues"
        try:
            answer = input(f"Delete all waiting messages of {queues}? Type yes: ")
        except EOFError:
            answer = ""
        if answer.strip().lower() != "yes":
            raise CommandError("nothing was deleted; --force does not ask")
