"""The course of the demonstration, from an empty database to the summary."""

import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack, suppress

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from rich.console import Console

from demonstration.facts import Fact, facts
from demonstration.mailserver import mail_server
from demonstration.ports import free_port
from demonstration.processes import ProcessEnded, Processes
from demonstration.run import Run
from demonstration.screen import Screen, summary
from demonstration.visitor import Visitor
from demonstration.website import Website
from djtasks.models import Message

KILL_AT = 1 / 3
TICK_SECONDS = 0.1
TIMEOUT_SECONDS = float(os.environ.get("DEMO_TIMEOUT", "180"))
USERNAME = PASSWORD = "admin"


def show(name: str, once: bool) -> int:
    """Give the demonstration; return the exit status."""
    # SIGTERM becomes an exception, so that it too ends what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console(highlight=False)
    console.print("Preparing the database …")
    prepare_database()
    began = time.monotonic()
    with ExitStack() as stack:
        run = Run(name, stack.enter_context(Website()))
        # In a database that is kept, they would go on for a queue that nobody serves.
        stack.callback(run.stop_schedules)
        mails = mail_server(run.mailbox)
        mails.start()
        stack.callback(mails.stop)
        port = free_port(8000)
        visitor = Visitor(f"http://127.0.0.1:{port}")
        # No proxy that the environment may name knows the loopback of this machine.
        environment = {"EMAIL_PORT": str(mails.port), "SITE_URL": visitor.site, "no_proxy": "127.0.0.1"}
        processes = stack.enter_context(Processes(settings.VAR_DIR / "log", environment))
        try:
            processes.start("site", "runserver", "--noreload", str(port))
            work(run, processes, visitor, console)
            entered = visitor.log_in(USERNAME, PASSWORD)
            proven = [*facts(run), Fact("site", "log-ins to the admin", f"{entered:d} of 1", entered)]
            console.print(summary(proven, time.monotonic() - began))
            console.print(f"Admin: {visitor.site}/admin/djtasks/task/overview/ (user {USERNAME}, password {PASSWORD})")
            if not once:
                linger(processes, visitor, console)
        except ProcessEnded as error:
            console.print(str(error), markup=False, soft_wrap=True)
            return 1
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
    return 0 if all(fact.holds for fact in proven) else 1


def prepare_database() -> None:
    """Migrate the database, emptied if it is the demonstration's own, and make a user for the admin."""
    embedded = settings.EMBEDDED_DATABASE
    if str(settings.DATABASES["default"]["NAME"]) == str(embedded):
        for file in embedded.parent.glob(f"{embedded.name}*"):  # its -wal and -shm too
            file.unlink()
        shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    if not users.filter(username=USERNAME).exists():
        users.create_superuser(USERNAME, password=PASSWORD)


def work(run: Run, processes: Processes, visitor: Visitor, console: Console) -> None:
    """Give the work and watch until all is done; kill a worker and a beat when a third is."""
    victim = start_worker(run, processes, "worker-1")
    # One beat by itself and one within a worker: any number of them send each run once.
    beats = [start_worker(run, processes, "worker-2", "-B"), processes.start("beat-1", "runbeat", "-l", "info")]
    run.schedule()
    visitor.wait(seconds=30)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    steps = run.give_work(visitor)
    all_given = killed = False
    with Screen(console) as screen:
        while time.monotonic() < deadline:
            processes.require_all()
            all_given = all_given or next(steps, "end") == "end"
            progress = run.progress()
            alive = ", ".join(processes.alive("worker") + processes.alive("beat"))
            slots = ", ".join(f"{name} {count}" for name, count in sorted(run.slots_made().items())) or "none yet"
            received = len(run.mailbox.letters)
            screen.show(progress, f"{received} mails received · sent by schedule: {slots} · alive: {alive}")
            if all_given and progress.idle and run.told and run.site and run.site.ended_at:
                run.stop_schedules()
                if not Message.objects.filter(queue=run.queue).exists():
                    return
            if not killed and progress.share >= KILL_AT and run.beats_among(beats) == len(beats):
                killed = True
                run.beats_before_kill = len(beats)
                processes.kill("worker-1")
                processes.kill("beat-1")
                run.held_at_kill = run.held_by(victim)
                screen.say(f"worker-1 killed with SIGKILL while it held {len(run.held_at_kill)} messages, and beat-1")
                start_worker(run, processes, "worker-3")
            time.sleep(TICK_SECONDS)
        screen.say(f"Not done after {TIMEOUT_SECONDS:.0f} s.")


def start_worker(run: Run, processes: Processes, name: str, *arguments: str) -> int:
    return processes.start(name, "runworker", "-c", "2", "-Q", run.queue, "-l", "info", *arguments)


def linger(processes: Processes, visitor: Visitor, console: Console) -> None:
    """Keep site and workers until Ctrl-C."""
    console.print(f"Sign up at {visitor.site}/ and see the task in the admin. Ctrl-C ends all of it.")
    with suppress(KeyboardInterrupt):
        while True:
            processes.require_all()
            time.sleep(1)
