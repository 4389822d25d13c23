"""What a pool is: it has slots, takes messages, and tells what became of them. It never learns of the database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from djtasks.domain.messages import Reservation, Token
from djtasks.domain.outcomes import Outcome
from djtasks.worker.execution import Holder
from djtasks.worker.pools.alarm import Alarm


class Ended(NamedTuple):
    """A body ended. With ``waits`` its slot stays taken until it has heard of the settlement and said Done."""

    token: Token
    outcome: Outcome
    started_at: float | None
    seconds: float
    waits: bool = False


class Returned(NamedTuple):
    """These messages came back unstarted."""

    tokens: list[Token]


class Lost(NamedTuple):
    """Whoever ran these messages died: the suspects' bodies had begun, the others' not."""

    suspects: list[Token]
    unstarted: list[Token]
    reason: str


Event = Ended | Returned | Lost


class Pool(ABC):
    """Where bodies run."""

    runs_here: ClassVar[bool] = False  # Whether a ``wait`` lasts as long as a body.
    runs_abreast = True  # Whether bodies run side by side, instead of by turns in one interpreter.

    def __init__(self, slots: int, holder: Holder) -> None:
        self.slots = slots
        self.holder = holder
        self.alarm = Alarm()

    @abstractmethod
    def start(self) -> None:
        """Make the slots."""

    def idle(self) -> int:
        """Return how many bodies could begin right now."""
        return self.room(1)

    @abstractmethod
    def is_busy(self) -> bool:
        """Say whether anything is in it; a run is over when its hooks are."""

    def is_starting(self) -> bool:
        """Say whether there will be more room in a moment."""
        return False

    @abstractmethod
    def room(self, depth: int) -> int:
        """Return how many more messages the pool takes with up to ``depth`` for each slot."""

    @abstractmethod
    def begun(self) -> list[Token]:
        """Return the messages whose bodies have begun, as far as the pool knows."""

    @abstractmethod
    def submit(self, messages: Sequence[Reservation], depth: int = 1) -> None:
        """Take messages, no more than there is room for."""

    @abstractmethod
    def submit_alone(self, message: Reservation) -> bool:
        """Take a message that may kill its process, if there is one in which it is alone; say whether it was taken."""

    @abstractmethod
    def wait(self, timeout: float) -> list[Event]:
        """Return what has happened; sleep up to ``timeout`` seconds for the first event or the alarm."""

    @abstractmethod
    def settled(self, token: Token, written: bool) -> None:
        """Tell a run that waits whether its outcome was written."""

    @abstractmethod
    def recall(self) -> None:
        """Ask for everything back that has not begun."""

    @abstractmethod
    def abandon(self, token: Token) -> None:
        """End a run whose message is not ours any more, as far as this pool can."""

    @abstractmethod
    def pids(self) -> list[int]:
        """Return the ids of the processes that bodies run in, this one excepted."""

    @abstractmethod
    def warn(self) -> None:
        """Tell the running bodies that the worker is stopping."""

    @abstractmethod
    def close(self) -> list[Ended]:
        """End everything at once; return what had ended by itself before."""
