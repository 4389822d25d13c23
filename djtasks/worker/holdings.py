"""What a worker holds, from reservation to settlement, and where it is: waiting, in the pool, or ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal

from djtasks.conf import settings
from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import Outcome, Released, Settlement
from djtasks.worker import judge
from djtasks.worker.pools.base import Pool

TRUSTED_SHARE = 0.75


class Held:
    """A message that this worker holds."""

    __slots__ = ("begun", "limits", "message", "place", "since", "token")

    def __init__(self, message: Reservation) -> None:
        self.message = message
        self.token = message.token
        self.since = time.monotonic()
        self.begun = message.started_at is not None and not message.begun_before
        self.place: Literal["waiting", "pool", "ended"] = "waiting"
        self.limits: tuple[float | None, float | None] | None = None


class Holdings:
    """Everything held, by token: two deliveries of one message are two different things."""

    def __init__(self) -> None:
        self.held: dict[Token, Held] = {}
        self.waiting: deque[Held] = deque()
        self.pending: dict[Token, Settlement] = {}
        self.notes: dict[Token, str] = {}
        self.renewed_at = float("-inf")

    def __len__(self) -> int:
        return len(self.held)

    def older_than(self, seconds: float) -> list[Token]:
        """Return the leases that were written more than so many seconds ago; safe from another thread."""
        before = time.monotonic() - seconds
        return [token for token, held in list(self.held.items()) if held.since < before]

    def renewed(self, began_at: float) -> None:
        """Note that at this moment all leases were renewed that were not new; safe from another thread."""
        self.renewed_at = began_at

    def _distrust(self) -> None:
        """Give back what has not begun and whose lease was not renewed in time: somebody else may have it (C4)."""
        before = time.monotonic() - TRUSTED_SHARE * settings.LEASE_SECONDS
        if self.renewed_at < before:
            for held in list(self.waiting):
                if held.since < before:
                    self.end(held.token, Released())

    def accept(self, message: Reservation) -> None:
        """Take a message that was received."""
        held = Held(message)
        self.held[held.token] = held
        self.waiting.append(held)

    def end(self, token: Token, outcome: Outcome, started_at: float | None = None) -> bool:
        """Note how a message is to be settled, if it is held."""
        if held := self.held.get(token):
            if held.place == "waiting":
                self._stop_waiting(held)
            held.place = "ended"
            self.pending[token] = Settlement(token, outcome, started_at, held.message)
        return held is not None

    def forget(self, token: Token) -> Held | None:
        """Let go of a message."""
        held = self.held.pop(token, None)
        if held is not None and held.place == "waiting":
            self._stop_waiting(held)
        self.pending.pop(token, None)
        self.notes.pop(token, None)
        return held

    def note(self, token: Token, text: str) -> None:
        """Keep what a run says of itself until it is written, or over."""
        if self.in_pool(token):
            self.notes[token] = text

    def noted(self, written: Mapping[Token, str]) -> None:
        """Take note of what was written; safe from another thread, and what came meanwhile is kept."""
        for token, text in written.items():
            if self.notes.get(token) is text:
                self.notes.pop(token, None)

    def _stop_waiting(self, held: Held) -> None:
        if self.waiting and self.waiting[-1] is held:
            self.waiting.pop()
        else:
            self.waiting.remove(held)

    def youngest_run(self, now: float) -> float:
        """Return for how many seconds the pool has had what it was given last."""
        return min((now - held.since for held in self.held.values() if held.place == "pool"), default=0.0)

    def in_pool(self, token: Token) -> Held | None:
        """Return the held message of this token if it is in the pool."""
        held = self.held.get(token)
        return held if held is not None and held.place == "pool" else None

    def take_back(self, tokens: Iterable[Token]) -> None:
        """Keep what came back from the pool unstarted for the next free slot."""
        for token in tokens:
            if held := self.in_pool(token):
                held.place = "waiting"
                self.waiting.appendleft(held)

    def release_waiting(self) -> None:
        """Give back what waits."""
        for held in list(self.waiting):
            self.end(held.token, Released())

    def to_begin(self, idle: int) -> list[tuple[Token, bool]]:
        """Name the messages to acknowledge before their bodies run, as many as there are slots for them.

        Of late messages only those that have lost a worker before: what they begin must be known if they do it again.
        """
        begin: list[tuple[Token, bool]] = []
        for held in self.waiting:
            if len(begin) >= idle:
                break
            late = judge.is_late(held.message)
            if not held.begun and (held.message.losses or not late):
                begin.append((held.token, late))
        return begin

    def to_note(self, begun: Iterable[Token], after: float) -> list[tuple[Token, bool]]:
        """Name the late messages whose bodies have run for a while, so that everybody may see that they run."""
        now = time.monotonic()
        note = []
        for token in begun:
            held = self.in_pool(token)
            if held is not None and not held.begun and now - held.since >= after:
                held.begun = True
                note.append((token, True))
        return note

    def hand_over(self, pool: Pool, depth: int) -> int:
        """Give the pool what may run: late messages ahead of their turn, early ones that were begun for a free slot.

        Returns how many that were.
        """
        if self.waiting:
            self._distrust()
        if not self.waiting:
            return 0
        room, idle = pool.room(depth), pool.idle()
        together: list[Reservation] = []
        passed: list[Held] = []
        alone = False
        while self.waiting and len(together) < room:
            held = self.waiting.popleft()
            if held.message.losses:
                # It may kill its process: it runs in one in which it can harm nobody else.
                if held.begun and pool.submit_alone(held.message):
                    held.place, alone = "pool", True
                    room, idle = pool.room(depth), pool.idle()
                else:
                    passed.append(held)
            elif judge.is_late(held.message) or (held.begun and len(together) < idle):
                held.place = "pool"
                together.append(held.message)
            else:
                passed.append(held)
        self.waiting.extendleft(reversed(passed))
        if together:
            pool.submit(together, depth)
        return len(together) + alone
