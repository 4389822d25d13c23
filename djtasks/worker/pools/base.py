"""What a pool is: it has slots, takes messages, and tells what became of them. It never learns of the database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
    can_terminate: ClassVar[bool] = True  # Whether ``terminate`` ends a run.

    def __init__(self, slots: int, holder: Holder) -> None:
        self.slots = slots
        self.holder = holder
        self.alarm = Alarm()

    def fileno(self) -> int:
        """The file number to wait on for what happens in it, for one that is not the only one of its worker."""
        return self.alarm.fileno()

    def flush(self) -> None:  # noqa: B027 - most have nothing to send
        """Hand on what is left to be sent, before somebody else waits."""

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
    def begun(self) -> Mapping[Token, float]:
        """Return the messages whose bodies run, and since when, by the monotonic clock, as far as the pool knows."""

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
        """End a run whose message is not ours any more, where nobody else is harmed; else tell it."""

    @abstractmethod
    def tell_revoked(self, token: Token) -> None:
        """Tell a run that its message was revoked."""

    @abstractmethod
    def interrupt(self, token: Token) -> None:
        """Raise SoftTimeLimitExceeded in a running body (WORK-3)."""

    @abstractmethod
    def terminate(self, token: Token, signal: str = "SIGKILL") -> None:
        """End a run now, if it has begun: nothing more is heard of it, and its slot is free again (B6)."""

    def resize(self, slots: int) -> None:
        """Have so many slots from now on, or as soon as running bodies end; ValueError where that cannot be."""
        raise ValueError("this pool cannot grow or shrink")

    def restart(self) -> None:
        """Run what comes from now on in new processes; nothing is dropped; ValueError where there are none."""
        raise ValueError("this pool has no processes of its own: start the worker again")

    def pid_of(self, token: Token) -> int | None:
        """Return the id of the process that a message is in, if the pool knows."""
        return None

    @abstractmethod
    def pids(self) -> list[int]:
        """Return the ids of the processes that bodies run in, this one excepted."""

    @abstractmethod
    def warn(self) -> None:
        """Tell the running bodies that the worker is stopping."""

    @abstractmethod
    def close(self) -> list[Ended]:
        """End everything at once; return what had ended by itself before."""
