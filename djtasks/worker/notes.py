"""What runs say of themselves, on its way from a pool child to the database: the last of many words is enough."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from django.db import DatabaseError

from djtasks.broker.note import note
from djtasks.broker.vendors import Vendor
from djtasks.domain import payloads
from djtasks.domain.messages import Token

logger = logging.getLogger("djtasks.worker")
PAUSE_SECONDS = 0.1


class Notes:
    """Keeps the latest note of each run, and hands on what is new some ten times a second."""

    def __init__(self, hand_on: Callable[[Token, str], None]) -> None:
        self._hand_on = hand_on
        self._latest: dict[Token, str] = {}
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, token: Token, text: str) -> None:
        """Take a note; the first of all starts the thread."""
        with self._lock:
            self._latest[token] = text
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="djtasks-notes", daemon=True)
                self._thread.start()
        self._news.set()

    def _run(self) -> None:
        while self._news.wait():
            self._news.clear()
            with self._lock:
                latest, self._latest = self._latest, {}
            try:
                for token, text in latest.items():
                    self._hand_on(token, text)
            except OSError:
                # The supervisor is gone, and with it this process in a moment.
                return
            time.sleep(PAUSE_SECONDS)


def write_notes(vendor: Vendor, notes: Mapping[Token, str]) -> dict[Token, str]:
    """Write the notes of all runs in one statement; return those that need no more writing."""
    try:
        written = note(vendor, notes)
    except DatabaseError as error:
        if not vendor.is_refusal(error):
            raise
        # To try again for ever would keep leases from being renewed.
        logger.warning("notes that cannot be stored: %s", payloads.printable(str(error).strip(), 500))
        written = set(notes)
    return {token: notes[token] for token in written}
