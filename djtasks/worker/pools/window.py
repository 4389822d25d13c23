"""The messages in a pool process, as far as the supervisor knows: what runs, what waits behind it, what is to leave."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from math import inf

from djtasks.domain.messages import Reservation, Token


class Window:
    """A body begins when it is handed to a free slot, or when the one before it in its slot has ended."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.messages: dict[Token, Reservation] = {}
        self.running: dict[Token, float] = {}
        self._behind: OrderedDict[Token, None] = OrderedDict()
        self._stranded: dict[Token, None] = {}
        # What keeps its slot but is no running body: a run whose hooks are to come, or one that is to be ended.
        self._leaving: dict[Token, float] = {}

    def __len__(self) -> int:
        return len(self.messages)

    def __contains__(self, token: Token) -> bool:
        return token in self.messages

    @property
    def unstarted(self) -> list[Token]:
        """What waits for a slot, or did not arrive."""
        return [*self._behind, *self._stranded]

    @property
    def patience_ends_at(self) -> float:
        """When a run that is to be ended ought to be gone."""
        return min(self._leaving.values(), default=inf)

    def add(self, messages: Iterable[Reservation]) -> None:
        """Take note of what the process was given."""
        for message in messages:
            self.messages[message.token] = message
            self._behind[message.token] = None
        self.fill()

    def strand(self, messages: Iterable[Reservation]) -> None:
        """Take note of what the process can no longer be given."""
        for message in messages:
            self.messages[message.token] = message
            self._stranded[message.token] = None

    def fill(self) -> None:
        """Take note of what begins in slots that are free."""
        while self._behind and len(self.running) + len(self._leaving) < self.slots:
            self.running[self._behind.popitem(last=False)[0]] = time.monotonic()

    def leave(self, token: Token, until: float = inf) -> None:
        """Take note that a body runs no more, and that its slot is not yet free."""
        if self.running.pop(token, None) is not None:
            self._leaving[token] = until

    def is_leaving(self, token: Token) -> bool:
        """Say whether nothing more is to be heard of this body."""
        return token in self._leaving

    def forget(self, token: Token) -> bool:
        """Take note that the process is done with a message; say whether anybody still waits for it."""
        self.running.pop(token, None)
        self._behind.pop(token, None)
        had = self.messages.pop(token, None) is not None
        return self._leaving.pop(token, None) is None and had
