"""Start a worker anew: after HUP, and under development when its code has changed; it ends warmly before."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from django.utils.autoreload import StatReloader, get_child_arguments

from djtasks.worker.shutdown import Stage
from djtasks.worker.supervisor import Supervisor

logger = logging.getLogger("djtasks.worker")
LOOK_SECONDS = 1.0


def run(supervisor: Supervisor, *, reload: bool = False) -> None:
    """Run a worker, and start anew where it was told to by HUP (WORK-6)."""
    changed = reload and _run_and_watch(supervisor)
    if not reload:
        supervisor.run()
    if changed or (supervisor.shutdown.restarts and supervisor.shutdown.stage is Stage.WARM):
        start_anew()


def _run_and_watch(supervisor: Supervisor) -> bool:
    """Run a worker until its code changes; say whether that ended it."""
    watch = Watch(supervisor.request_stop)
    watch.start()
    supervisor.run()
    watch.end()
    return watch.has_changed and supervisor.shutdown.heard is None


class Watch(threading.Thread):
    """Looks at the files of all modules that are loaded, as Django's own development server does."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(name="djtasks-reload", daemon=True)
        self.has_changed = False
        self._changed = changed
        self._ended = threading.Event()
        self._files = StatReloader()
        self._seen: dict[Path, float] = dict(self._files.snapshot_files())

    def run(self) -> None:
        """Look until something has changed that can be loaded."""
        while not self._ended.wait(LOOK_SECONDS):
            if self._find_change():
                self.has_changed = True
                self._changed()
                return

    def _find_change(self) -> bool:
        now = dict(self._files.snapshot_files())
        # A module that is loaded later is no change.
        changed = [path for path, moment in now.items() if self._seen.setdefault(path, moment) != moment]
        self._seen = now
        if not changed:
            return False
        if faults := list(filter(None, map(fault_of, changed))):
            logger.error("not restarted: %s", "; ".join(faults))
            return False
        logger.info("restarting, since %s changed", ", ".join(map(str, changed)))
        return True

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


def fault_of(path: Path) -> str | None:
    """Say why a file cannot be loaded, if it cannot: half of an edit should not end the worker."""
    if path.suffix != ".py":
        return None
    try:
        compile(path.read_bytes(), str(path), "exec")
    except (OSError, SyntaxError, ValueError) as error:
        return f"{path}: {error}"
    return None


def start_anew() -> None:
    """Replace this process by a new one with the same command line."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, get_child_arguments())  # noqa: S606 - our own command line
