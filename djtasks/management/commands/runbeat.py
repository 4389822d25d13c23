"""``manage.py runbeat``: parse, build, run."""

from __future__ import annotations

import os
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from djtasks import __version__
from djtasks.beat.running import Beat
from djtasks.conf import settings
from djtasks.exceptions import ImproperlyConfigured
from djtasks.management.reading import limit
from djtasks.management.starting import add_logging, full_name, refuse_old
from djtasks.worker.logs import set_up_logging


class Command(BaseCommand):
    """Run a beat."""

    help = "Run a beat: it sends the messages of schedules that are due. Any number may run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--once", action="store_true", help="send what is due, and exit")
        add("--max-interval", type=limit, metavar="SECONDS", help="look at least so often for what was changed")
        add("-n", "--hostname", default="beat@%h", help="the beat's name; %%h is the host, %%n its first part")
        add_logging(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        set_up_logging(options["loglevel"], options["log_format"])
        try:
            refuse_old(settings.DATABASE)
            beat = Beat(full_name(options["hostname"]), max_interval=options["max_interval"])
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if options["once"]:
            self.stdout.write(f"{beat.run_once()} messages sent")
            return
        self.stdout.write(f"djtasks {__version__} beat {beat.row['name']} (pid {os.getpid()})")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: beat.end())
        beat.run()
