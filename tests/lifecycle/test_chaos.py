"""Processes killed at random under load: F1, F26, C21; G2, G3, G4."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from django.db import connections

from djtasks.models import Result
from tests.helpers import Diary, WorkerProcess, leased, messages, results, running_worker, wait_until, why
from tests.tasks import note, note_late

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = {"LEASE_SECONDS": 2, "MAX_DELIVERIES": 50}


class Fleet:
    """Workers that are replaced as they die, by whoever pulls the trigger."""

    def __init__(self, count: int) -> None:
        self.slots = [self._hire() for _ in range(count)]

    def _hire(self):
        manager = running_worker(f"--pool={random.choice(['processes', 'processes', 'threads'])}", **SETTINGS)
        return manager, manager.__enter__()

    @property
    def workers(self) -> list[WorkerProcess]:
        return [worker for _, worker in self.slots]

    def strike(self) -> None:
        """Kill one process of one tree; a supervisor is replaced."""
        place = random.randrange(len(self.slots))
        manager, worker = self.slots[place]
        victim = random.choice(worker.tree())
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return
        if victim == worker.pid:
            manager.__exit__(None, None, None)
            self.slots[place] = self._hire()

    def dismiss(self) -> None:
        for manager, _ in self.slots:
            manager.__exit__(None, None, None)
